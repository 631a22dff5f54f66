"""Gathers the facts that a plan is made from. Only looks: resolving a source may fill a cache, nothing else is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import chain
from pathlib import Path

from deployments.domain.entities import Instance, InstanceLife
from deployments.domain.errors import DeploymentError, Refused, Unavailable
from deployments.domain.facts import Facts, Principal, RunningRelease
from deployments.domain.planning import resource_key
from deployments.domain.ports import (
    Endpoint,
    InstanceState,
    Prober,
    ProbeRequest,
    ResourceRequest,
    RouteDeclaration,
    SourceLock,
)
from deployments.domain.revisions import release_of
from deployments.domain.spec.service import ServiceSpecification
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.driver.effects.preparation import source_of
from deployments.driver.world import World
from deployments.store.stables import StableRelease

AT_ONCE = 8
"""Sources resolved at the same time."""


def observe(
    world: World,
    specification: DeploymentSpecification,
    *,
    base: Path,
    principal: Principal,
    deployment: str | None = None,
    locks: Mapping[str, SourceLock] | None = None,
) -> Facts:
    """Look at records, proxy, supervisor, sources and machine. `deployment` is the one that asks; it does not count.

    `locks` holds sources that were resolved before, by service; they are not resolved again.
    """
    environment, records = specification.target_environment, world.records
    routes = {route.service: route for route in world.proxy(environment).routes()}
    known = dict(locks or {})
    found, missing = resolve_sources(world, [s for s in specification.services if s.name not in known], base)
    locks = {**known, **found}
    alive = alive_instances(world, environment)
    instances = {i.id: i for i in records.instances.of_environment(environment)}
    current = records.stables.current(environment)
    serving = serving_instances(world, environment, set(current) & set(routes))
    stable = {name: observed(release, alive, serving.get(name)) for name, release in current.items()}
    warm = warm_releases(instances.values(), alive)
    digests = {release_of(s, locks[s.name]) for s in specification.services if s.name in locks}
    now = world.clock.now()
    return Facts(
        now=now,
        principal=principal,
        machine=world.machine.observe(),
        environment=records.environments.find(environment),
        stable={name: release for name, release in stable.items() if release.endpoints},
        warm=warm,
        leftovers=leftover_instances(instances.values(), [*stable.values(), *chain.from_iterable(warm.values())]),
        routes={name: route.port for name, route in routes.items()},
        locks=locks,
        built=frozenset(d for d in digests if world.builder.find(d)),
        resources=existing_resources(world, specification),
        names_in_use=names_in_use(world, specification, deployment),
        quarantined={revision: q.reason for revision, q in records.quarantine.active(environment).items()},
        ports_taken=ports_taken(world.prober, specification.services, routes),
        deployments_today=records.queries.opened_since(environment, now - timedelta(days=1)) - (1 if deployment else 0),
        missing_paths=missing,
        recent_failures=records.queries.unsuccessful_since(environment, now - timedelta(days=7)),
    )


def resolve_sources(
    world: World, services: Iterable[ServiceSpecification], base: Path
) -> tuple[dict[str, SourceLock], dict[str, str]]:
    """Locks by service, and what is wrong with those that cannot be resolved. Equal sources are resolved once."""
    by_source: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for service in services:
        by_source.setdefault(tuple(sorted(source_of(service).items())), []).append(service.name)

    def resolve(source: tuple[tuple[str, str], ...]) -> SourceLock | DeploymentError:
        try:
            return world.builder.resolve(dict(source), base=base)
        except (Refused, Unavailable) as error:
            return error

    locks: dict[str, SourceLock] = {}
    missing: dict[str, str] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for names, found in zip(by_source.values(), pool.map(resolve, by_source), strict=True):
            for name in names:
                if isinstance(found, SourceLock):
                    locks[name] = found
                else:
                    missing[name] = str(found)
    return locks, missing


def alive_instances(world: World, environment: str) -> dict[str, int | None]:
    """Instances whose process runs, with their port."""
    return {
        report.instance: report.port
        for report in world.supervisor.observe_all(environment)
        if report.state in (InstanceState.RUNNING, InstanceState.STARTING)
    }


def observed(
    stable: StableRelease, alive: dict[str, int | None], serving: frozenset[str] | None = None
) -> RunningRelease:
    """A stable release with only those of its instances that were seen running, and receiving traffic if it has any."""
    release = stable.as_running()
    endpoints = (e for e in release.endpoints if e.instance in alive and (serving is None or e.instance in serving))
    return replace(release, endpoints=tuple(endpoints))


def serving_instances(world: World, environment: str, services: Iterable[str]) -> dict[str, frozenset[str]]:
    """By service, the instances with weight, as the proxy reports them; nothing while it is away."""
    proxy = world.proxy(environment)
    try:
        return {
            name: frozenset(b.endpoint.instance for b in proxy.backends(name) if b.weight) for name in sorted(services)
        }
    except Unavailable:
        return {}


def leftover_instances(recorded: Iterable[Instance], running: Iterable[RunningRelease]) -> dict[str, tuple[str, ...]]:
    """Recorded instances that are part of no running release, by service."""
    known = {endpoint.instance for release in running for endpoint in release.endpoints}
    found: dict[str, tuple[str, ...]] = {}
    for instance in recorded:
        if instance.id not in known:
            found[instance.service] = (*found.get(instance.service, ()), instance.id)
    return found


def names_in_use(world: World, specification: DeploymentSpecification, deployment: str | None) -> frozenset[str]:
    """The specification's name, when another deployment of the environment has it."""
    if specification.name is None or deployment is not None:
        return frozenset()
    return world.records.queries.names_in_use(specification.target_environment, [specification.name])


def warm_releases(instances: Iterable[Instance], alive: dict[str, int | None]) -> dict[str, tuple[RunningRelease, ...]]:
    """Earlier releases whose instances run without traffic, by service."""
    groups: dict[tuple[str, str, str], list[Instance]] = {}
    for instance in instances:
        if instance.state is InstanceLife.WARM and instance.id in alive:
            groups.setdefault((instance.service, instance.revision, instance.deployment), []).append(instance)
    found: dict[str, tuple[RunningRelease, ...]] = {}
    for (service, revision, deployment), members in groups.items():
        endpoints = tuple(Endpoint(i.id, i.port or 0, revision) for i in sorted(members, key=lambda i: i.id))
        release = RunningRelease(service, revision, members[0].release, "", deployment, endpoints)
        found[service] = (*found.get(service, ()), release)
    return found


def existing_resources(world: World, specification: DeploymentSpecification) -> frozenset[str]:
    """Names of the asked resources that are there already."""
    environment = specification.target_environment
    return frozenset(
        need.name
        for need in specification.resource_requirements
        if world.provisioner.find(
            ResourceRequest(resource_key(environment, need.name), need.kind.value, need.name, environment)
        )
    )


def ports_taken(
    prober: Prober, services: Iterable[ServiceSpecification], routes: dict[str, RouteDeclaration]
) -> frozenset[int]:
    """Public ports that are asked for, are not this service's own route, and that something listens on."""
    taken = set()
    for service in services:
        known = routes.get(service.name)
        if service.port is None or (known and known.port == service.port):
            continue
        if prober.probe(ProbeRequest(kind="tcp", port=service.port, timeout=timedelta(seconds=1))).is_good:
            taken.add(service.port)
    return frozenset(taken)
