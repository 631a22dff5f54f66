"""A proxy in memory that keeps the promises of `domain.ports.Proxy` and refuses what the real one refuses."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from deployments.domain.errors import Broken, Conflict, HandleTripped, NotFound, ProxyUnavailable, Refused, StaleFence
from deployments.domain.ports import BackendState, Endpoint, HandleState, RouteDeclaration

FULL_WEIGHT = 256
_NAME = re.compile(r"^[a-z0-9][a-z0-9-]*$")


@dataclass
class _Live:
    """What a running proxy holds in memory; gone when it is killed."""

    fence_is_armed: bool = False
    attached: dict[str, dict[str, Endpoint]] = field(default_factory=dict)
    weights: dict[str, dict[str, int]] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    handle_weights: dict[str, dict[str, int]] | None = None
    handle_fence: int = 0
    handle_deadline: float = 0.0
    handle_has_fired: bool = False


class FakeProxy:
    """One environment's proxy. `kill()` is a SIGKILL; `down` names what is not up, `sessions` what is open."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` drives the dead man's handle."""
        self.down: set[str] = set()
        self.sessions: dict[str, int] = {}
        self.taken_ports: set[int] = set()
        self.history: list[tuple[str, dict[str, int]]] = []
        """Every weight change in order: (service, weights after it)."""
        self.reloads = 0
        self._clock = clock
        self._fence_on_disk = 0
        self._routes: dict[str, RouteDeclaration] = {}
        self._live: _Live | None = None

    def kill(self) -> None:
        """Die without a word: splits, attached instances, holds and the handle are lost."""
        self._live = None

    def restart(self) -> None:
        """Start from the file on disk, as a supervisor would: it serves the stable releases and refuses writes."""
        self._live = _Live()
        for route in self._routes.values():
            self._serve(self._live, route)

    def is_held(self, service: str) -> bool:
        """Whether new requests of the service wait."""
        return self._live is not None and service in self._live.held

    def preview(self, service: str) -> Endpoint | None:
        """The endpoint which the preview route reaches."""
        attached = self._observe().attached.get(service, {})
        return list(attached.values())[-1] if attached else None

    def ensure_running(self, *, fence: int) -> None:
        if self._live is not None:
            self._fire_when_due(self._live)
        if fence < self._fence_on_disk:
            raise self._too_old(fence)
        if self._live is None:
            self.restart()
        self._fence_on_disk = fence
        self._observe().fence_is_armed = True

    def highest_fence(self) -> int:
        if self._live is not None:
            self._fire_when_due(self._live)
        return self._fence_on_disk

    def routes(self) -> Sequence[RouteDeclaration]:
        return tuple(self._routes[name] for name in sorted(self._routes))

    def ensure_routes(self, routes: Sequence[RouteDeclaration], *, fence: int) -> None:
        for route in routes:
            _require_names(route.service, *(endpoint.instance for endpoint in route.stable))
        live = self._writing(fence)
        wanted = dict(self._routes)
        for route in routes:
            known = self._routes.get(route.service)
            wanted[route.service] = replace(route, stable=known.stable if known else route.stable)
        if wanted == self._routes:
            return
        self._require_free_ports(wanted)
        for name in set(wanted) - set(self._routes):
            self._serve(live, wanted[name])
        self._routes = wanted
        self.reloads += 1

    def remove_routes(self, services: Sequence[str], *, fence: int) -> None:
        _require_names(*services)
        live = self._writing(fence)
        gone = [name for name in services if self._routes.pop(name, None)]
        for name in gone:
            live.attached.pop(name, None)
            live.weights.pop(name, None)
            live.held.discard(name)
            if live.handle_weights:
                live.handle_weights.pop(name, None)
        self.reloads += 1 if gone else 0

    def attach(self, service: str, endpoint: Endpoint, *, fence: int) -> None:
        _require_names(service, endpoint.instance)
        live = self._writing(fence)
        attached = self._attached(live, service)
        known = attached.get(endpoint.instance)
        if known and known != endpoint:
            raise Refused(f"Instance {endpoint.instance} is already attached to {service} on port {known.port}.")
        if not known:
            attached[endpoint.instance] = endpoint
            live.weights[service][endpoint.instance] = 0

    def detach(self, service: str, instance: str, *, fence: int) -> None:
        _require_names(service, instance)
        live = self._writing(fence)
        if live.weights.get(service, {}).get(instance, 0) > 0:
            raise Refused(f"Instance {instance} of {service} carries weight.", remedy="Set its weight to 0 first.")
        if not live.handle_has_fired and (live.handle_weights or {}).get(service, {}).get(instance, 0) > 0:
            raise Refused(f"The armed handle returns to {instance} of {service}.", remedy="Disarm the handle first.")
        live.attached.get(service, {}).pop(instance, None)
        live.weights.get(service, {}).pop(instance, None)
        self.sessions.pop(instance, None)

    def backends(self, service: str) -> Sequence[BackendState]:
        live = self._observe()
        return tuple(
            BackendState(
                endpoint=endpoint,
                weight=live.weights[service][instance],
                sessions=self.sessions.get(instance, 0),
                is_up=instance not in self.down,
            )
            for instance, endpoint in self._attached(live, service).items()
        )

    def set_weights(self, service: str, weights: Mapping[str, int], *, fence: int) -> None:
        _require_names(service, *weights)
        _require_weights(weights)
        live = self._writing(fence)
        attached = self._attached(live, service)
        for unknown in sorted(set(weights) - set(attached)):
            raise NotFound(f"Instance {unknown} is not attached to {service}.", remedy="Attach it first.")
        wanted = {instance: weights.get(instance, 0) for instance in attached}
        self._require_an_instance_left(live, service, wanted)
        live.weights[service] = wanted
        self.history.append((service, dict(wanted)))

    def hold(self, service: str, up_to: timedelta, *, fence: int) -> None:
        _require_names(service)
        live = self._writing(fence)
        self._attached(live, service)
        live.held.add(service)

    def unhold(self, service: str, *, fence: int) -> None:
        _require_names(service)
        self._writing(fence).held.discard(service)

    def held(self) -> frozenset[str]:
        return frozenset(self._observe().held)

    def arm_handle(self, weights: Mapping[str, Mapping[str, int]], time_to_live: timedelta, *, fence: int) -> None:
        for service, by_instance in weights.items():
            _require_names(service, *by_instance)
            _require_weights(by_instance)
        live = self._writing(fence)
        if live.handle_has_fired:
            raise _tripped()
        for service, by_instance in weights.items():
            for unknown in sorted(set(by_instance) - set(self._attached(live, service))):
                raise NotFound(f"Instance {unknown} is not attached to {service}.", remedy="Attach it first.")
        live.handle_weights = {service: dict(by_instance) for service, by_instance in weights.items()}
        live.handle_fence = fence
        live.handle_deadline = self._clock() + time_to_live.total_seconds()

    def renew_handle(self, time_to_live: timedelta, *, fence: int) -> None:
        live = self._writing(fence)
        if live.handle_has_fired:
            raise _tripped()
        if live.handle_weights is None:
            raise Conflict("The handle is not armed.", remedy="Look at the weights, then arm it.")
        live.handle_deadline = self._clock() + time_to_live.total_seconds()

    def disarm_handle(self, *, fence: int) -> None:
        live = self._writing(fence)
        live.handle_weights, live.handle_has_fired, live.handle_fence = None, False, 0

    def handle(self) -> HandleState:
        live = self._observe()
        is_armed = live.handle_weights is not None and not live.handle_has_fired
        left = max(0.0, live.handle_deadline - self._clock()) if is_armed else 0.0
        return HandleState(
            is_armed=is_armed,
            has_fired=live.handle_has_fired,
            fence=live.handle_fence,
            remaining=timedelta(seconds=left),
        )

    def promote(self, stable: Mapping[str, Sequence[Endpoint]], *, fence: int) -> None:
        for service, endpoints in stable.items():
            _require_names(service, *(endpoint.instance for endpoint in endpoints))
        self._writing(fence)
        for service in stable:
            if service not in self._routes:
                raise NotFound(f"There is no route for {service}.")
        for service, endpoints in stable.items():
            self._routes[service] = replace(self._routes[service], stable=tuple(endpoints))

    def stop(self) -> None:
        self.kill()

    def _observe(self) -> _Live:
        if self._live is None:
            raise ProxyUnavailable("The proxy does not answer.")
        self._fire_when_due(self._live)
        return self._live

    def _writing(self, fence: int) -> _Live:
        live = self._observe()
        if not live.fence_is_armed:
            raise ProxyUnavailable("The proxy restarted and is not armed.", remedy="Call ensure_running first.")
        if fence < self._fence_on_disk:
            raise self._too_old(fence)
        self._fence_on_disk = fence
        return live

    def _too_old(self, fence: int) -> HandleTripped | StaleFence:
        if self._live is not None and self._live.handle_has_fired and fence == self._live.handle_fence:
            return _tripped()
        return StaleFence(
            f"Fence {fence} is older than {self._fence_on_disk}.", fence=fence, highest=self._fence_on_disk
        )

    def _fire_when_due(self, live: _Live) -> None:
        if live.handle_weights is None or live.handle_has_fired or self._clock() < live.handle_deadline:
            return
        for service, by_instance in live.handle_weights.items():
            live.held.discard(service)
            attached = live.weights.get(service, {})
            if any(by_instance.get(instance, 0) > 0 for instance in attached):
                live.weights[service] = {instance: by_instance.get(instance, 0) for instance in attached}
                self.history.append((service, dict(live.weights[service])))
        live.handle_has_fired = True
        self._fence_on_disk += 1

    def _attached(self, live: _Live, service: str) -> dict[str, Endpoint]:
        if service not in self._routes:
            raise NotFound(f"There is no route for {service}.", remedy="Add it with ensure_routes first.")
        return live.attached[service]

    def _serve(self, live: _Live, route: RouteDeclaration) -> None:
        live.attached[route.service] = {endpoint.instance: endpoint for endpoint in route.stable}
        live.weights[route.service] = {endpoint.instance: FULL_WEIGHT for endpoint in route.stable}

    def _require_free_ports(self, wanted: Mapping[str, RouteDeclaration]) -> None:
        owners: dict[int, str] = {}
        for route in wanted.values():
            for port in (route.port, route.preview_port):
                bound = {p for r in self._routes.values() for p in (r.port, r.preview_port)}
                if port in owners or (port in self.taken_ports and port not in bound):
                    raise Refused(f"Port {port} of service {route.service} is taken.", remedy="Choose another port.")
                owners[port] = route.service

    def _require_an_instance_left(self, live: _Live, service: str, wanted: Mapping[str, int]) -> None:
        now = live.weights[service]
        if service in live.held or not any(now.values()):
            return
        serves_now = any(weight for instance, weight in now.items() if instance not in self.down)
        serves_then = any(weight for instance, weight in wanted.items() if instance not in self.down)
        if not any(wanted.values()) or (serves_now and not serves_then):
            raise Broken(
                f"These weights would leave {service} with no instance that is up.",
                remedy="Give weight to an instance that is up, or hold the service first.",
            )


def _require_names(*names: str) -> None:
    for name in names:
        if not _NAME.match(name) or name.endswith("\n"):
            raise Refused(f"{name!r} is not a name.", remedy="Use lower-case letters, digits and hyphens.")


def _require_weights(weights: Mapping[str, int]) -> None:
    for instance, weight in weights.items():
        if not 0 <= weight <= FULL_WEIGHT:
            raise Refused(f"Weight {weight} of {instance} is out of range.", remedy="Use 0 to 256.")


def _tripped() -> HandleTripped:
    return HandleTripped(remedy="Look at the weights, take a new fence, then disarm the handle.")
