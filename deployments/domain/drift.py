"""Decides how what runs is brought back to what the records say, while no deployment is under way.

One look gives the repairs that are safe right after it, in their order: what serves begins before anything ends, and
nothing is detached or stopped before it has no weight. Later repairs follow from later looks; an environment is as
recorded when a look gives none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from deployments.domain.entities import Instance, InstanceLife, Route
from deployments.domain.facts import RunningRelease
from deployments.domain.ports import (
    BackendState,
    Endpoint,
    HandleState,
    InstanceReport,
    InstanceState,
    RouteDeclaration,
)
from deployments.domain.strategies.decision import even

ALIVE = (InstanceState.STARTING, InstanceState.RUNNING)
"""The supervisor has it, or starts it again by itself."""


@dataclass(frozen=True, slots=True)
class StartDataPlane:
    """Start what is away of proxy and meter: the proxy serves its file, the stable releases."""

    why: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class StartInstance:
    """Start a stable instance again from its recorded program."""

    service: str
    instance: str
    why: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class DeclareRoute:
    """Declare a recorded route again, on its recorded ports, with the stable instances behind it."""

    route: RouteDeclaration
    why: str = field(default="", compare=False)

    @property
    def service(self) -> str:
        """Whose route it is."""
        return self.route.service


@dataclass(frozen=True, slots=True)
class AdmitInstance:
    """Await a running stable instance healthy and attach it, still without weight."""

    service: str
    endpoint: Endpoint
    why: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class GiveTraffic:
    """Give the stable instances that are ready even weight, and all others none."""

    service: str
    weights: tuple[tuple[str, int], ...]
    why: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class ReleaseRequests:
    """Let the held requests of a service go: there is an instance to answer them."""

    service: str
    why: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class DisarmHandle:
    """Disarm a handle that belongs to no deployment under way."""

    why: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class PromoteRoute:
    """Write the stable instances into the proxy's file."""

    service: str
    endpoints: tuple[Endpoint, ...]
    why: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class DetachInstance:
    """Drain an instance without weight, and make the proxy forget it."""

    service: str
    instance: str
    why: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class RemoveRoute:
    """Remove a route and give its ports back."""

    service: str
    why: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class RemoveInstance:
    """Stop an instance, give its port back and record it as retired."""

    service: str
    instance: str
    why: str = field(default="", compare=False)


Repair = (
    StartDataPlane
    | StartInstance
    | DeclareRoute
    | AdmitInstance
    | GiveTraffic
    | ReleaseRequests
    | DisarmHandle
    | PromoteRoute
    | DetachInstance
    | RemoveRoute
    | RemoveInstance
)


@dataclass(frozen=True, slots=True)
class Seen:
    """One environment: what its records say, and what is there."""

    stable: Mapping[str, RunningRelease] = field(default_factory=dict)
    """By service, as recorded, whether it runs or not."""
    recorded: Mapping[str, Instance] = field(default_factory=dict)
    """By name: the recorded instances that are not retired."""
    recorded_routes: Mapping[str, Route] = field(default_factory=dict)
    waiting: frozenset[str] = frozenset()
    """Deployments that are not over, or whose way back waits for a person: their instances are theirs."""
    waiting_services: frozenset[str] = frozenset()
    """Services of those deployments."""
    exclusive: frozenset[str] = frozenset()
    """Services of which a waiting deployment runs a release beside which no other may run (recreate)."""
    reports: Mapping[str, InstanceReport] = field(default_factory=dict)
    """By name: what the supervisor knows."""
    is_proxy_away: bool = False
    is_meter_away: bool = False
    routes: Mapping[str, RouteDeclaration] = field(default_factory=dict)
    """By service: what the proxy's file declares."""
    backends: Mapping[str, tuple[BackendState, ...]] = field(default_factory=dict)
    """By service: what the proxy serves; no entry where it does not serve the route."""
    held: frozenset[str] = frozenset()
    """Services whose new requests wait in the proxy."""
    handle: HandleState | None = None
    admitted: frozenset[str] = frozenset()
    """Instances that were found healthy and attached in this round of repairs."""

    @property
    def wanted(self) -> dict[str, tuple[Endpoint, ...]]:
        """By service: the stable instances that are to serve. One recorded as retired was taken down on purpose."""
        found = {
            name: tuple(e for e in release.endpoints if e.instance in self.recorded)
            for name, release in self.stable.items()
        }
        return {name: endpoints for name, endpoints in found.items() if endpoints}

    @property
    def is_taken_down(self) -> bool:
        """Everything that was stable is retired: the environment was destroyed and waits for its next deployment."""
        return bool(self.stable) and not self.wanted

    def is_alive(self, instance: str) -> bool:
        """Whether it runs, or the supervisor starts it again by itself."""
        report = self.reports.get(instance)
        return report is not None and report.state in ALIVE


def decide_drift(seen: Seen, *, resting: frozenset[Repair] = frozenset()) -> tuple[Repair, ...]:
    """The repairs that are safe now, in order. `resting` are those that failed lately and wait for their next try."""
    if seen.is_taken_down:
        return ()
    if seen.is_proxy_away and seen.wanted:
        found: list[Repair] = [StartDataPlane("the proxy was away")]
    else:
        found = list(_decide(seen, resting))
    return tuple(repair for repair in found if repair not in resting)


def _decide(seen: Seen, resting: frozenset[Repair]) -> Iterator[Repair]:
    wanted = {name: endpoints for name, endpoints in seen.wanted.items() if name not in seen.exclusive}
    services = [_Service(seen, name, endpoints, resting) for name, endpoints in sorted(wanted.items())]
    moves = [(service, service.traffic()) for service in services]
    yield from (move for service, move in moves if move and service.is_urgent)
    for service in services:
        yield from service.starts()
    for service in services:
        yield from service.declaration()
    for service in services:
        yield from service.admissions
    yield from (move for service, move in moves if move and not service.is_urgent)
    for service in services:
        yield from service.release()
    settled = [service for service, move in moves if move is None and not service.admissions]
    if len(settled) == len(services):
        yield from _handle(seen)
    for service in settled:
        yield from service.promotion()
    yield from _detachments(seen)
    yield from _routes_of_nobody(seen)
    yield from _instances_of_nobody(seen)
    if seen.is_meter_away and seen.wanted:
        yield StartDataPlane("the meter was away")


class _Service:
    """One stable service: what of it is ready, and what is missing."""

    def __init__(self, seen: Seen, name: str, endpoints: tuple[Endpoint, ...], resting: frozenset[Repair]) -> None:
        self.seen, self.name, self.endpoints = seen, name, endpoints
        self.attached = {state.endpoint.instance: state.weight for state in seen.backends.get(name, ())}
        self.alive = [endpoint for endpoint in endpoints if seen.is_alive(endpoint.instance)]
        self.ready = [e.instance for e in self.alive if self.attached.get(e.instance) or self._is_admitted(e)]
        self.admissions = [admission for admission in self._admissions() if admission not in resting]

    def _is_admitted(self, endpoint: Endpoint) -> bool:
        return endpoint.instance in self.attached and endpoint.instance in self.seen.admitted

    @property
    def is_urgent(self) -> bool:
        """Traffic goes to nobody, or there is nothing to wait for before it moves."""
        is_lost = any(weight and not self.seen.is_alive(name) for name, weight in self.attached.items())
        return is_lost or not self.admissions

    def traffic(self) -> GiveTraffic | None:
        """Needed while a ready instance has no weight, or another one has some."""
        others = [name for name in self.attached if name not in self.ready]
        without = [name for name in self.ready if not self.attached[name]]
        astray = [name for name in others if self.attached[name]]
        if not self.ready or not (without or astray):
            return None
        weights = {**even(self.ready), **even(others, 0)}
        reasons = [f"{', '.join(without)} had no weight"] if without else []
        reasons += [f"{', '.join(astray)} had weight and is not stable or does not run"] if astray else []
        return GiveTraffic(self.name, tuple(sorted(weights.items())), "; ".join(reasons))

    def starts(self) -> Iterator[Repair]:
        """Stable instances without a process."""
        for endpoint in self.endpoints:
            if endpoint not in self.alive:
                why = f"it is stable and {_state_of(self.seen.reports.get(endpoint.instance))}"
                yield StartInstance(self.name, endpoint.instance, why)

    def declaration(self) -> Iterator[Repair]:
        """A recorded route that the proxy does not serve; once an instance is there to answer."""
        route = self.seen.recorded_routes.get(self.name)
        if route is None or self.name in self.seen.backends or not self.alive:
            return
        declared = RouteDeclaration(self.name, route.port, route.preview_port, self.endpoints)
        yield DeclareRoute(declared, "it is recorded and the proxy did not serve it")

    def release(self) -> Iterator[Repair]:
        """Requests wait although somebody with weight could answer them."""
        if self.name in self.seen.held and any(self.attached.get(name) for name in self.ready):
            yield ReleaseRequests(self.name, "requests were held and no deployment is under way")

    def promotion(self) -> Iterator[Repair]:
        """The file names other instances than the records do."""
        route = self.seen.routes.get(self.name)
        if route is None or not self.ready or _addresses(route.stable) == _addresses(self.endpoints):
            return
        yield PromoteRoute(self.name, self.endpoints, "the proxy's file named other instances than the records")

    def _admissions(self) -> Iterator[AdmitInstance]:
        if self.name not in self.seen.backends:
            return
        for endpoint in self.alive:
            if endpoint.instance not in self.ready:
                why = "had no weight" if endpoint.instance in self.attached else "was not attached"
                yield AdmitInstance(self.name, endpoint, f"it is stable and {why}")


def _handle(seen: Seen) -> Iterator[Repair]:
    if seen.handle is not None and (seen.handle.is_armed or seen.handle.has_fired):
        state = "had fired" if seen.handle.has_fired else "was armed"
        yield DisarmHandle(f"it {state} and no deployment is under way")


def _detachments(seen: Seen) -> Iterator[Repair]:
    """What is attached without weight and is neither stable nor kept."""
    for service, states in sorted(seen.backends.items()):
        for state in states:
            name = state.endpoint.instance
            if service not in seen.stable or state.weight or _is_kept(seen, name):
                continue
            yield DetachInstance(service, name, f"{_who_has(seen, name)} and it was attached")


def _routes_of_nobody(seen: Seen) -> Iterator[Repair]:
    for service in sorted({*seen.routes, *seen.recorded_routes} - set(seen.stable) - seen.waiting_services):
        yield RemoveRoute(service, "the service has no stable release and no deployment")


def _instances_of_nobody(seen: Seen) -> Iterator[Repair]:
    attached = {state.endpoint.instance for states in seen.backends.values() for state in states}
    for name in sorted({*seen.recorded, *seen.reports} - attached):
        if not _is_kept(seen, name):
            known = seen.recorded.get(name)
            service = known.service if known else seen.reports[name].service
            yield RemoveInstance(service, name, _who_has(seen, name))


def _is_kept(seen: Seen, name: str) -> bool:
    """Stable, warm and alive, or of a deployment that waits."""
    if any(endpoint.instance == name for release in seen.stable.values() for endpoint in release.endpoints):
        return True
    known = seen.recorded.get(name)
    if known is None:
        return False
    if known.deployment in seen.waiting:
        return True
    return known.state is InstanceLife.WARM and seen.is_alive(name)


def _who_has(seen: Seen, name: str) -> str:
    known = seen.recorded.get(name)
    if known is None:
        return "no record has it, or only a retired one"
    if known.state is InstanceLife.WARM:
        return f"it was kept warm and {_state_of(seen.reports.get(name))}"
    return "it belongs to no stable release and to no deployment under way"


def _state_of(report: InstanceReport | None) -> str:
    if report is None or report.state is InstanceState.UNKNOWN:
        return "its process was gone"
    if report.exit_code is None:
        return f"its process had {report.state}"
    return f"its process had {report.state} with code {report.exit_code}"


def _addresses(endpoints: tuple[Endpoint, ...]) -> set[tuple[str, int]]:
    return {(endpoint.instance, endpoint.port) for endpoint in endpoints}
