"""Brings what runs back to what the records say, for environments in which no deployment is under way.

A process, a proxy or a whole machine may end at any time, and a controller may have been killed where no deployment
remembers it. Round after round the reconciler looks, and repairs under a lease of its own what it still finds then.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import assert_never

from deployments.domain.codec import program_from_json
from deployments.domain.drift import (
    AdmitInstance,
    DeclareRoute,
    DetachInstance,
    DisarmHandle,
    GiveTraffic,
    PromoteRoute,
    ReleaseRequests,
    RemoveInstance,
    RemoveRoute,
    Repair,
    Seen,
    StartDataPlane,
    StartInstance,
    decide_drift,
)
from deployments.domain.entities import InstanceLife
from deployments.domain.errors import (
    DeploymentError,
    HandleTripped,
    LeaseHeld,
    LeaseLost,
    ProxyUnavailable,
    Refused,
    StaleFence,
    Unavailable,
)
from deployments.domain.events import ResourceEvent, ResourceEventKind, Source
from deployments.domain.facts import Principal
from deployments.domain.plan import Plan
from deployments.domain.ports import Proxy
from deployments.domain.spec.specification import DeploymentSpecification, RollbackProcedures
from deployments.driver.effects.instances import ask_until_healthy
from deployments.driver.holding import HeldLease
from deployments.driver.looking import is_quiet, look, specification_of
from deployments.driver.opening import is_here
from deployments.driver.pausing import Pauses
from deployments.driver.run import Run
from deployments.driver.world import World

log = logging.getLogger("fairlead.reconciler")
PATIENCE = timedelta(seconds=10)
"""How long one repair waits; what takes longer is met again in a later round."""
PAUSES: Pauses[Repair] = Pauses()
"""Of this process: an instance that keeps ending is not started again and again without a pause."""


def repair_environment(world: World, environment: str, *, pauses: Pauses[Repair] = PAUSES) -> list[str]:
    """Look, and repair what differs; a line for each thing done. Without drift nothing is taken, written or started.

    Raises Unavailable when the records or the supervisor do not answer; then nothing was decided.
    """
    if world.records.leases.holder(environment) is not None or not is_quiet(world, environment):
        return []
    if not is_here(world, environment):
        return []
    resting = pauses.resting(environment, now=world.clock.monotonic())
    found = decide_drift(look(world, environment), resting=resting)
    if not found:
        return []
    try:
        with HeldLease(world, environment) as held:
            if not is_quiet(world, environment):
                return []
            return _Round(world, environment, held, pauses).repair(found[0])
    except LeaseHeld:
        return []
    except DeploymentError as error:
        for repair in found:
            pauses.note(environment, repair, now=world.clock.monotonic())
        log.warning("drift_postponed: %s: %s", environment, error)
        return []


@dataclass(slots=True)
class _Round:
    """One environment, held; looked at again after every repair."""

    world: World
    environment: str
    held: HeldLease
    pauses: Pauses[Repair]
    admitted: set[str] = field(default_factory=set)
    done: list[str] = field(default_factory=list)

    @property
    def fence(self) -> int:
        return self.held.lease.fence

    @property
    def proxy(self) -> Proxy:
        return self.world.proxy(self.environment)

    def repair(self, first: Repair) -> list[str]:
        """Each repair at most once. Taking the lease may have done the first one: a data plane that was away."""
        tried: set[Repair] = set()
        seen = self.look()
        following: Repair | None = first if isinstance(first, StartDataPlane) else self.next(seen, tried)
        while following is not None:
            tried.add(following)
            try:
                self.held.interruption.check()
                self.perform(following, seen)
            except (LeaseLost, StaleFence, HandleTripped) as error:
                log.warning("drift_left_to_another: %s: %s", self.environment, error)
                break
            except DeploymentError as error:
                self.pauses.note(self.environment, following, now=self.now())
                log.warning("drift_postponed: %s: %s: %s", self.environment, words_of(following), error)
            seen = self.look()
            following = self.next(seen, tried)
        self.rest_after_nothing_came_of_it(seen)
        return self.done

    def look(self) -> Seen:
        return look(self.world, self.environment, admitted=frozenset(self.admitted))

    def next(self, seen: Seen, tried: set[Repair]) -> Repair | None:
        resting = self.pauses.resting(self.environment, now=self.now())
        return next((r for r in decide_drift(seen, resting=resting | tried) if r not in tried), None)

    def rest_after_nothing_came_of_it(self, seen: Seen) -> None:
        """What was done and is still to be done is left alone for longer each time."""
        for repair in decide_drift(seen, resting=self.pauses.resting(self.environment, now=self.now())):
            self.pauses.note(self.environment, repair, now=self.now())

    def now(self) -> float:
        return self.world.clock.monotonic()

    def perform(self, repair: Repair, seen: Seen) -> None:
        """Do it, then tell it."""
        self.effect(repair, seen)
        line = f"{words_of(repair)}: {repair.why}"
        event = ResourceEvent(
            kind=ResourceEventKind.DRIFT_REPAIRED,
            resource=thing_of(repair),
            environment=self.environment,
            correlation_id=f"{self.environment}-drift-{self.fence}",
            source=Source.RECONCILER,
            at=self.world.clock.now(),
            service=None if isinstance(repair, StartDataPlane | DisarmHandle) else repair.service,
            message=line,
        )
        self.world.records.events.append(event, lease=self.held.lease)
        self.done.append(line)

    def effect(self, repair: Repair, seen: Seen) -> None:  # noqa: C901 - a table of effects
        """The one effect of each repair; each is fine with finding it done."""
        match repair:
            case StartDataPlane():
                self.start_data_plane()
            case StartInstance():
                self.start_instance(repair, seen)
            case DeclareRoute(route=route):
                self.proxy.ensure_routes([route], fence=self.fence)
            case AdmitInstance():
                self.admit_instance(repair, seen)
            case GiveTraffic():
                self.proxy.set_weights(repair.service, dict(repair.weights), fence=self.fence)
            case ReleaseRequests(service=service):
                self.proxy.unhold(service, fence=self.fence)
            case DisarmHandle():
                self.proxy.disarm_handle(fence=self.fence)
            case PromoteRoute(service=service, endpoints=endpoints):
                self.proxy.promote({service: endpoints}, fence=self.fence)
            case DetachInstance():
                self.detach_instance(repair, seen)
            case RemoveRoute(service=service):
                self.remove_route(service)
            case RemoveInstance():
                self.remove_instance(repair, seen)
            case _:
                assert_never(repair)

    def start_data_plane(self) -> None:
        """Taking the lease has started it; the meter may need a moment to take its lock."""
        self.proxy.ensure_running(fence=self.fence)
        meter = self.world.meter(self.environment)
        if not self.wait(lambda: meter.read(since=self.world.clock.now()).is_running):
            raise ProxyUnavailable(f"The meter of {self.environment} does not run.", remedy="Read meter.log.")

    def start_instance(self, repair: StartInstance, seen: Seen) -> None:
        """From its recorded program, on its own port. The next try waits longer, whatever becomes of this one."""
        self.pauses.note(self.environment, repair, now=self.now())
        program = seen.recorded[repair.instance].program
        if not program:
            raise Refused(f"{repair.instance} has no recorded program.", remedy="Deploy its service again.")
        self.world.supervisor.ensure_started(program_from_json(program), fence=self.fence)

    def admit_instance(self, repair: AdmitInstance, seen: Seen) -> None:
        """Healthy as its own specification says, then attached, then seen up by the proxy itself."""
        name = repair.endpoint.instance
        specification = self.specification(repair.service, seen)
        if specification is not None:
            service = specification.service(repair.service)
            ask_until_healthy(
                self.run(specification, seen.stable[repair.service].deployment),
                name,
                checks=service.health_checks,
                deadline=min(service.timing.healthy_deadline, PATIENCE),
                min_healthy=timedelta(0),
            )
        self.proxy.attach(repair.service, repair.endpoint, fence=self.fence)
        backends = self.proxy.backends
        if not self.wait(lambda: any(b.endpoint.instance == name and b.is_up for b in backends(repair.service))):
            raise ProxyUnavailable(f"The proxy does not see {name} up on port {repair.endpoint.port}.")
        self.admitted.add(name)

    def detach_instance(self, repair: DetachInstance, seen: Seen) -> None:
        """What it has begun is answered first, up to the deadline for draining."""

        def has_drained() -> bool:
            states = self.proxy.backends(repair.service)
            return not any(b.sessions for b in states if b.endpoint.instance == repair.instance)

        self.wait(has_drained, self.procedures(repair.service, seen).drain)
        self.proxy.detach(repair.service, repair.instance, fence=self.fence)

    def remove_route(self, service: str) -> None:
        """Remove it from the proxy, its ports from the reservations and it from the records."""
        self.proxy.remove_routes([service], fence=self.fence)
        for address in ("route", "preview"):
            self.world.provisioner.release_port(f"{self.environment}.{service}.{address}")
        self.world.records.routes.remove(self.held.lease, [service])

    def remove_instance(self, repair: RemoveInstance, seen: Seen) -> None:
        """Stop it where it runs, give its port back, and record it as retired where it is recorded."""
        grace = self.procedures(repair.service, seen).stop_grace
        self.world.supervisor.ensure_stopped(repair.instance, grace=grace, fence=self.fence)
        self.world.provisioner.release_port(repair.instance)
        if repair.instance in seen.recorded:
            self.world.records.instances.set_state(self.held.lease, repair.instance, InstanceLife.RETIRED)

    def specification(self, service: str, seen: Seen) -> DeploymentSpecification | None:
        """What the stable release of a service was asked to be."""
        return specification_of(self.world, seen.stable[service].deployment) if service in seen.stable else None

    def procedures(self, service: str, seen: Seen) -> RollbackProcedures:
        """How its instances are drained and stopped; the defaults where nobody said it."""
        specification = self.specification(service, seen)
        return specification.rollback_procedures if specification else RollbackProcedures()

    def run(self, specification: DeploymentSpecification, deployment: str) -> Run:
        """What asking for health needs to know; it interrupts what waits when the lease is lost."""
        return Run(
            world=self.world,
            deployment=deployment,
            specification=specification,
            principal=Principal("reconciler"),
            lease=self.held.lease,
            plan=Plan(self.environment, (), ()),
            base=Path("/"),
            interruption=self.held.interruption,
        )

    def wait(self, holds: Callable[[], bool], patience: timedelta = PATIENCE) -> bool:
        """Whether it came to hold in time; the proxy may be starting meanwhile."""
        end = self.now() + patience.total_seconds()
        while True:
            self.held.interruption.check()
            try:
                if holds():
                    return True
            except Unavailable as error:
                log.info("drift_waits: %s: %s", self.environment, error)
            if self.now() >= end:
                return False
            self.world.clock.sleep(self.world.poll)


def thing_of(repair: Repair) -> str:
    """What is repaired."""
    match repair:
        case StartDataPlane():
            return "data plane"
        case DisarmHandle():
            return "handle"
        case StartInstance(instance=instance) | DetachInstance(instance=instance) | RemoveInstance(instance=instance):
            return instance
        case AdmitInstance(endpoint=endpoint):
            return endpoint.instance
        case DeclareRoute() | GiveTraffic() | ReleaseRequests() | PromoteRoute() | RemoveRoute():
            return repair.service
        case _:
            assert_never(repair)


def words_of(repair: Repair) -> str:  # noqa: C901 - a table of words
    """What is done, for people."""
    match repair:
        case StartDataPlane():
            return "proxy and meter started again"
        case StartInstance(instance=instance):
            return f"{instance} started again"
        case DeclareRoute(route=route):
            return f"route of {route.service} declared again on port {route.port}"
        case AdmitInstance(endpoint=endpoint, service=service):
            return f"{endpoint.instance} attached to {service}"
        case GiveTraffic(service=service, weights=weights):
            return f"traffic of {service} given to {', '.join(name for name, weight in weights if weight)}"
        case ReleaseRequests(service=service):
            return f"held requests of {service} released"
        case DisarmHandle():
            return "handle disarmed"
        case PromoteRoute(service=service):
            return f"route of {service} written as stable"
        case DetachInstance(instance=instance, service=service):
            return f"{instance} detached from {service}"
        case RemoveRoute(service=service):
            return f"route of {service} removed"
        case RemoveInstance(instance=instance):
            return f"{instance} stopped and retired"
        case _:
            assert_never(repair)
