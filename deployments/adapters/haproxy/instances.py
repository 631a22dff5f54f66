"""Instances behind routes: made known, weighted, watched and forgotten while HAProxy runs."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

from deployments.adapters.haproxy.control import Control, NotUpYet, Server, no_instance_left
from deployments.adapters.haproxy.files import ProxyFiles
from deployments.adapters.haproxy.names import require_names, require_port, require_weights
from deployments.adapters.haproxy.rendering import dynamic_server
from deployments.adapters.haproxy.runtime import CURRENT, SERVERS, Runtime
from deployments.adapters.haproxy.waiting import holds_within
from deployments.domain.errors import NotFound, ProxyUnavailable, Refused
from deployments.domain.ports import BackendState, Endpoint

ADD_PATIENCE = timedelta(seconds=1)
UP_PATIENCE = timedelta(seconds=3)
CHECK_PATIENCE = timedelta(milliseconds=500)
CUT_PATIENCE = timedelta(seconds=10)


class Instances:
    """The servers of every service's backend."""

    def __init__(self, files: ProxyFiles, runtime: Runtime, control: Control) -> None:
        """`files` remember the revision of each instance, for the meter and for reading back."""
        self._files = files
        self._runtime = runtime
        self._control = control

    def attach(self, service: str, endpoint: Endpoint, *, fence: int) -> None:
        """Add a server in maintenance, then let HAProxy check it, at weight 0.

        Killed in between, the server stays in maintenance, reached by nobody, until the same call is made again.
        """
        require_names(service, endpoint.instance)
        require_port(endpoint.port, service=service)
        self._control.admit(fence)
        known = self._servers(service).get(endpoint.instance)
        if known is not None and known.port != endpoint.port:
            raise Refused(
                f"Instance {endpoint.instance} is already attached to {service} on port {known.port}.",
                remedy="Give every instance a name of its own.",
            )
        self._files.remember([endpoint])
        if known is None and not holds_within(lambda: self._is_added(service, endpoint, fence), ADD_PATIENCE):
            raise ProxyUnavailable(f"HAProxy did not take instance {endpoint.instance} of {service}.")
        self._vouch_if_listening(service, endpoint.instance, endpoint.port, fence)

    def detach(self, service: str, instance: str, *, fence: int) -> None:
        """Cut what is open, in old workers too, and forget the server."""
        require_names(service, instance)
        if not self._control.quiesce(service, instance, fence=fence):
            return
        if not holds_within(lambda: self._is_deleted(service, instance, fence), CUT_PATIENCE):
            raise ProxyUnavailable(f"HAProxy keeps connections to {instance} of {service}.", remedy="Try again.")
        self._control.admit(fence)

    def states(self, service: str) -> Sequence[BackendState]:
        """As HAProxy reports them; requests in flight include those of workers that a reload replaced."""
        require_names(service)
        servers = self._servers(service)
        sessions = self._sessions(service)
        known = self._files.endpoints()
        return tuple(
            BackendState(
                endpoint=Endpoint(name, server.port, known[name].revision if name in known else ""),
                weight=server.weight,
                sessions=sessions[name],
                is_up=server.is_up,
            )
            for name, server in servers.items()
        )

    def set_weights(self, service: str, weights: Mapping[str, int], *, fence: int) -> None:
        """One command does it. Before, an instance that gains weight is given a moment for its first check."""
        require_names(service)
        require_weights(weights)
        holds_within(lambda: self._newcomers_are_up(service, weights, fence), CHECK_PATIENCE)
        if not holds_within(lambda: self._has_set(service, weights, fence), UP_PATIENCE):
            raise no_instance_left(service)

    def _servers(self, service: str) -> Mapping[str, Server]:
        services = self._control.status().services
        if service not in services:
            raise NotFound(f"There is no route for {service}.", remedy="Add it with ensure_routes first.")
        return services[service]

    def _is_added(self, service: str, endpoint: Endpoint, fence: int) -> bool:
        """HAProxy adds and deletes servers without asking for a fence, but only such as take no part in anything.

        So a writer that was overtaken may have left one of this name, or have deleted ours before it was enabled.
        """
        answer = self._runtime.ask_again(dynamic_server(service, endpoint.instance, endpoint.port))
        if "New server registered" not in answer and "Already exists" not in answer:
            raise ProxyUnavailable(f"HAProxy did not take instance {endpoint.instance}: {answer.strip()}")
        try:
            if self._control.enable(service, endpoint, fence=fence):
                return True
        except NotFound:
            return False
        self._runtime.ask_again(f"del server {service}/{endpoint.instance}")
        return False

    def _is_deleted(self, service: str, instance: str, fence: int) -> bool:
        """HAProxy deletes no server that is not in maintenance: one that a newer writer enabled again stays."""
        for worker in (*self._runtime.processes().old_workers, CURRENT):
            self._control.cut(service, instance, worker=worker, fence=fence)
        answer = self._runtime.ask_again(f"del server {service}/{instance}")
        return "Server deleted" in answer or "No such" in answer

    def _sessions(self, service: str) -> Counter[str]:
        sessions: Counter[str] = Counter()
        for worker in (CURRENT, *self._runtime.processes().old_workers):
            for row in self._runtime.statistics(SERVERS, worker=worker, proxy=service):
                if row["pxname"] == service:
                    sessions[row["svname"]] += int(row["scur"])
        return sessions

    def _newcomers_are_up(self, service: str, weights: Mapping[str, int], fence: int) -> bool:
        servers = self._servers(service).values()
        gaining = [server for server in servers if weights.get(server.instance, 0) > 0 and server.weight == 0]
        away = [server for server in gaining if not server.is_up]
        for server in away:
            self._vouch_if_listening(service, server.instance, server.port, fence)
        return not away

    def _vouch_if_listening(self, service: str, instance: str, port: int, fence: int) -> None:
        """HAProxy's first check of a new server may be a second away; a connection made here counts as well."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            self._control.vouch(service, instance, fence=fence)

    def _has_set(self, service: str, weights: Mapping[str, int], fence: int) -> bool:
        try:
            self._control.set_weights(service, weights, fence=fence)
        except NotUpYet:
            return False
        return True
