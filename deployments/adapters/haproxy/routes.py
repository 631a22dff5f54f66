"""Routes come and go with a reload that drops no request; promotion only rewrites the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from deployments.adapters.haproxy.control import Control, Status
from deployments.adapters.haproxy.files import ProxyFiles
from deployments.adapters.haproxy.names import FULL_WEIGHT, require_names, require_port, require_route
from deployments.adapters.haproxy.ports import require_free_ports
from deployments.adapters.haproxy.rendering import LiveServer, LiveService, routes_digest
from deployments.adapters.haproxy.runtime import Runtime
from deployments.domain.errors import NotFound, ProxyUnavailable
from deployments.domain.ports import Endpoint, RouteDeclaration


class Routes:
    """The only writer of the configuration. One process at a time, and only with a fence that HAProxy admits."""

    def __init__(self, files: ProxyFiles, runtime: Runtime, control: Control) -> None:
        """Reads and writes `files`, reloads through `runtime`."""
        self._files = files
        self._runtime = runtime
        self._control = control

    def ensure(self, routes: Sequence[RouteDeclaration], *, fence: int) -> None:
        """Add or move the named routes. Of a route that exists, `promote` alone changes what is stable."""
        for route in routes:
            require_route(route)
        with self._files.changing():
            self._control.admit(fence)
            declared = {route.service: route for route in self._files.routes()}
            wanted = dict(declared)
            for route in routes:
                known = declared.get(route.service)
                wanted[route.service] = replace(route, stable=known.stable) if known else route
            self._serve(tuple(wanted.values()), before=tuple(declared.values()))

    def remove(self, services: Sequence[str], *, fence: int) -> None:
        """Take the named routes away; unknown ones are fine."""
        require_names(*services)
        with self._files.changing():
            self._control.admit(fence)
            declared = self._files.routes()
            self._serve(tuple(route for route in declared if route.service not in services), before=declared)

    def promote(self, stable: Mapping[str, Sequence[Endpoint]], *, fence: int) -> None:
        """Write what a bare restart serves, for all services at once."""
        for service, endpoints in stable.items():
            require_names(service, *(endpoint.instance for endpoint in endpoints))
            for endpoint in endpoints:
                require_port(endpoint.port, service=service)
        with self._files.changing():
            self._control.admit(fence)
            declared = {route.service: route for route in self._files.routes()}
            for service, endpoints in stable.items():
                if service not in declared:
                    raise NotFound(f"There is no route for {service}.", remedy="Add it with ensure_routes first.")
                declared[service] = replace(declared[service], stable=tuple(endpoints))
            self._files.remember([endpoint for endpoints in stable.values() for endpoint in endpoints])
            self._files.write_configuration(tuple(declared.values()))

    def _serve(self, wanted: tuple[RouteDeclaration, ...], *, before: tuple[RouteDeclaration, ...]) -> None:
        """Reload unless the worker listens on exactly these; it may not, after a writer that was killed."""
        status = self._control.status()
        if wanted == before and status.digest == routes_digest(wanted):
            return
        served = [route for route in before if route.service in status.services]
        require_free_ports(wanted, bound={port for route in served for port in (route.port, route.preview_port)})
        for route in wanted:
            self._files.remember(route.stable)
        self._reload(wanted, before, status)

    def _reload(
        self, wanted: tuple[RouteDeclaration, ...], before: tuple[RouteDeclaration, ...], status: Status
    ) -> None:
        """The new worker starts with the weights, fence, holds and handle of the old one.

        Killed before the reload, the file names a split which a fresh start skips; killed after it, the same, and old
        workers retire by themselves. `ensure_running` removes the split from the file.
        """
        self._files.write_for_reload(wanted, _live(wanted, status), status)
        answer = self._runtime.reload()
        if not answer.is_done:
            self._files.write_configuration(before)
            raise ProxyUnavailable(
                "HAProxy refused the new routes and serves the old ones.", remedy="Read its words.", log=answer.log
            )
        self._control.retire_old_workers()
        self._files.write_configuration(wanted)


def _live(wanted: Sequence[RouteDeclaration], status: Status) -> dict[str, LiveService]:
    """What each service has now; a route that is new has its stable instances at full weight."""
    live = {}
    for route in wanted:
        servers = tuple(LiveServer(one.instance, one.port, FULL_WEIGHT) for one in route.stable)
        if route.service in status.services:
            attached = status.services[route.service].values()
            servers = tuple(LiveServer(one.instance, one.port, one.weight) for one in attached)
        live[route.service] = LiveService(servers, is_held=route.service in status.holds)
    return live
