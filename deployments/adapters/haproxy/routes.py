"""Routes come and go with a reload that drops no request; promotion only rewrites the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from deployments.adapters.haproxy.control import Control, Status
from deployments.adapters.haproxy.files import ProxyFiles
from deployments.adapters.haproxy.names import FULL_WEIGHT, require_names, require_port, require_route
from deployments.adapters.haproxy.ports import require_free_ports
from deployments.adapters.haproxy.rendering import LiveServer, LiveService, routes_digest
from deployments.adapters.haproxy.runtime import Runtime
from deployments.adapters.haproxy.waiting import holds_within
from deployments.domain.errors import Conflict, NotFound, ProxyUnavailable, Refused
from deployments.domain.ports import Endpoint, RouteDeclaration

INSTALL_PATIENCE = timedelta(seconds=5)
RELOAD_ATTEMPTS = 3


class Routes:
    """The only writer of the configuration: it makes drafts, which HAProxy puts in place if it admits their fence."""

    def __init__(self, files: ProxyFiles, runtime: Runtime, control: Control) -> None:
        """Reads and writes `files`, reloads through `runtime`."""
        self._files = files
        self._runtime = runtime
        self._control = control

    def ensure(self, routes: Sequence[RouteDeclaration], *, fence: int) -> None:
        """Add or move the named routes. Of a route that exists, `promote` alone changes what is stable."""
        for route in routes:
            require_route(route)
        with self._files.changing(fence):
            self._control.admit(fence)
            declared = {route.service: route for route in self._files.routes()}
            wanted = dict(declared)
            for route in routes:
                known = declared.get(route.service)
                wanted[route.service] = replace(route, stable=known.stable) if known else route
            self._serve(tuple(wanted.values()), before=tuple(declared.values()), fence=fence)

    def remove(self, services: Sequence[str], *, fence: int) -> None:
        """Take the named routes away; unknown ones are fine."""
        require_names(*services)
        with self._files.changing(fence):
            self._control.admit(fence)
            declared = self._files.routes()
            self._serve(
                tuple(route for route in declared if route.service not in services), before=declared, fence=fence
            )

    def promote(self, stable: Mapping[str, Sequence[Endpoint]], *, fence: int) -> None:
        """Write what a bare restart serves, for all services at once."""
        for service, endpoints in stable.items():
            require_names(service, *(endpoint.instance for endpoint in endpoints))
            for endpoint in endpoints:
                require_port(endpoint.port, service=service)
        with self._files.changing(fence):
            self._control.admit(fence)
            declared = {route.service: route for route in self._files.routes()}
            for service, endpoints in stable.items():
                if service not in declared:
                    raise NotFound(f"There is no route for {service}.", remedy="Add it with ensure_routes first.")
                declared[service] = replace(declared[service], stable=tuple(endpoints))
            self._files.remember([endpoint for endpoints in stable.values() for endpoint in endpoints])
            self._install(tuple(declared.values()), fence)

    def tidy(self, *, fence: int) -> None:
        """Finish what a writer left that was killed, or overtaken, around its reload: load the routes of its file.

        One that cannot be loaded any more (its port was taken) is given up: nobody was served by it yet.
        """
        if self._is_tidy():
            return
        with self._files.changing(fence):  # another writer of this fence may have a reload under way
            self._control.admit(fence)
            routes = self._files.routes()
            try:
                self._serve(routes, before=routes, fence=fence)
            except (Refused, ProxyUnavailable):
                served = self._control.status().services
                routes = tuple(route for route in routes if route.service in served)
            if not self._files.is_as_rendered() or routes != self._files.routes():
                self._install(routes, fence)

    def _is_tidy(self) -> bool:
        is_loaded = self._control.status().digest == routes_digest(self._files.routes())
        return is_loaded and self._files.is_as_rendered()

    def _install(self, routes: tuple[RouteDeclaration, ...], fence: int) -> None:
        self._files.draft(routes, fence=fence)
        self._control.install_lasting(fence=fence)
        self._files.settle()

    def _serve(self, wanted: tuple[RouteDeclaration, ...], *, before: tuple[RouteDeclaration, ...], fence: int) -> None:
        """Reload unless the worker listens on exactly these; it may not, after a writer that was killed."""
        status = self._control.status()
        if wanted == before and status.digest == routes_digest(wanted):
            return
        served = [route for route in before if route.service in status.services]
        require_free_ports(wanted, bound={port for route in served for port in (route.port, route.preview_port)})
        for route in wanted:
            self._files.remember(route.stable)
        self._reload(wanted, before, fence)

    def _reload(self, wanted: tuple[RouteDeclaration, ...], before: tuple[RouteDeclaration, ...], fence: int) -> None:
        """The new worker starts with the weights, fence, holds and handle of the old one.

        Killed before the reload, the file names a split which a fresh start skips; killed after it, the same, and old
        workers retire by themselves. `ensure_running` removes the split from the file. Stopped before the reload and
        overtaken, it is refused: the newer writer withdrew the handover.
        """
        if not holds_within(lambda: self._has_installed_for_reload(wanted, fence), INSTALL_PATIENCE):
            raise Conflict("The weights do not come to rest.", remedy="Try again.")
        refused = self._refused_reload(routes_digest(wanted))
        if refused is not None:
            self._install(before, fence)  # StaleFence, when that is why
            raise ProxyUnavailable(
                "HAProxy refused the new routes and serves the old ones.", remedy="Read its words.", log=refused
            )
        self._control.retire_old_workers()
        self._install(wanted, fence)

    def _has_installed_for_reload(self, wanted: tuple[RouteDeclaration, ...], fence: int) -> bool:
        status = self._control.status()
        self._files.draft_for_reload(wanted, _live(wanted, status), status, fence=fence)
        return self._control.install_for_reload(status.version, fence=fence)

    def _refused_reload(self, digest: str) -> str | None:
        """None once a worker with this digest serves; otherwise HAProxy's words.

        A writer that was overtaken may ask for a reload just then. It gets ours; or it gets a refusal, and the master
        starts over and drops our question with it.
        """
        log = ""
        for _ in range(RELOAD_ATTEMPTS):
            answer = self._runtime.reload()
            if answer.is_done or self._control.status().digest == digest:
                return None
            log = answer.log
            if answer.is_refused:
                break
        return log


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
