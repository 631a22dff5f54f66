"""Looks at one environment for drift: records, supervisor and proxy. Cheap, for it is done every second."""

from __future__ import annotations

from dataclasses import dataclass, field

from deployments.domain.drift import Seen
from deployments.domain.entities import Deployment, Instance
from deployments.domain.errors import NotFound, Unavailable
from deployments.domain.facts import RunningRelease
from deployments.domain.ports import BackendState, HandleState, InstanceReport, RouteDeclaration
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.status import DeploymentStatus
from deployments.domain.strategies.table import STRATEGIES
from deployments.driver.world import World
from deployments.store.criteria import Criteria
from deployments.store.leases import WAITING

MOST_WAITING = 200
"""Deployments of an environment whose way back waits for a person, newest first, that are looked at."""


def is_quiet(world: World, environment: str) -> bool:
    """Whether no deployment is under way; those that still wait for the environment have touched nothing."""
    return all(one.status in WAITING for one in world.records.deployments.unfinished(environment))


def look(world: World, environment: str, *, admitted: frozenset[str] = frozenset()) -> Seen:
    """What is recorded and what is there. The supervisor is started where stable instances are to run and it is away.

    Raises Unavailable when the records or the supervisor do not answer.
    """
    records = world.records
    stable = {name: release.as_running() for name, release in records.stables.current(environment).items()}
    recorded = {instance.id: instance for instance in records.instances.of_environment(environment)}
    if is_anything_wanted(stable, recorded):
        world.supervisor.ensure_running()
    reports = {report.instance: report for report in world.supervisor.observe_all(environment)}
    waiting = waiting_for_a_person(world, environment)
    proxy = look_at_proxy(world, environment, is_needed=bool(stable or reports))
    return Seen(
        stable=stable,
        recorded=recorded,
        recorded_routes={route.service: route for route in records.routes.of_environment(environment)},
        waiting=frozenset(one.id for one in waiting),
        waiting_services=frozenset(name for one in waiting for name, _ in one.services),
        exclusive=exclusive_services(world, waiting, recorded, reports),
        reports=reports,
        is_proxy_away=proxy.is_away,
        is_meter_away=proxy.is_uncounted,
        routes=proxy.routes,
        backends=proxy.backends,
        held=proxy.held,
        handle=proxy.handle,
        admitted=admitted,
    )


def is_anything_wanted(stable: dict[str, RunningRelease], recorded: dict[str, Instance]) -> bool:
    """Whether an instance of a stable release is to run."""
    return any(endpoint.instance in recorded for release in stable.values() for endpoint in release.endpoints)


def waiting_for_a_person(world: World, environment: str) -> list[Deployment]:
    """Deployments whose way back is not finished."""
    failed = Criteria(environment=environment, statuses=(DeploymentStatus.ROLLBACK_FAILED,))
    return list(world.records.queries.history(failed, limit=MOST_WAITING))


def exclusive_services(
    world: World, waiting: list[Deployment], recorded: dict[str, Instance], reports: dict[str, InstanceReport]
) -> frozenset[str]:
    """Services of which a waiting deployment runs an instance that tolerates no other release beside it."""
    names = {one.id for one in waiting}
    found = set()
    for instance in recorded.values():
        if instance.deployment in names and instance.id in reports:
            specification = specification_of(world, instance.deployment)
            if specification is None or holds(specification, instance.service):
                found.add(instance.service)
    return frozenset(found)


def holds(specification: DeploymentSpecification, service: str) -> bool:
    """Whether the old release of a service ends before the new one begins."""
    return STRATEGIES[specification.service(service).deployment_strategy.kind].has_hold


def specification_of(world: World, deployment: str) -> DeploymentSpecification | None:
    """A recorded specification; None where this version cannot read it."""
    record = world.records.deployments.get(deployment)
    try:
        return DeploymentSpecification.model_validate(dict(record.specification))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class SeenProxy:
    """The proxy and its meter."""

    is_away: bool = False
    is_uncounted: bool = False
    routes: dict[str, RouteDeclaration] = field(default_factory=dict)
    backends: dict[str, tuple[BackendState, ...]] = field(default_factory=dict)
    held: frozenset[str] = frozenset()
    handle: HandleState | None = None


def look_at_proxy(world: World, environment: str, *, is_needed: bool) -> SeenProxy:
    """What it declares and what it serves; where nothing ever ran it is not asked."""
    proxy = world.proxy(environment)
    routes = {route.service: route for route in proxy.routes()}
    if not is_needed and not routes:
        return SeenProxy()
    backends = {}
    try:
        handle, held = proxy.handle(), proxy.held()
        for service in routes:
            try:
                backends[service] = tuple(proxy.backends(service))
            except NotFound:  # declared by a writer that was killed before the proxy took it
                continue
    except Unavailable:
        return SeenProxy(is_away=True, routes=routes)
    is_counted = world.meter(environment).read(since=world.clock.now()).is_running
    return SeenProxy(is_uncounted=not is_counted, routes=routes, backends=backends, held=held, handle=handle)
