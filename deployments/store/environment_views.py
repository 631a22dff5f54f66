"""An environment with everything it holds, how it is, and how full it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Row, Table, func, select

from deployments.domain.entities import Deployment, Environment, EnvironmentStatus, InstanceLife, Service
from deployments.domain.environment import EnvironmentRecord
from deployments.domain.errors import NotFound
from deployments.domain.facts import RunningRelease
from deployments.domain.ports import Endpoint
from deployments.domain.status import DeploymentStatus
from deployments.store.criteria import UNSUCCESSFUL
from deployments.store.deployment_rows import select_deployments, to_deployment
from deployments.store.instances import LIVES, to_instance
from deployments.store.resources import to_resource
from deployments.store.routes import to_route
from deployments.store.tables import (
    NOW,
    deployments,
    environments,
    instances,
    leases,
    quarantine,
    resources,
    routes,
    stables,
)

RECENTLY = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class EnvironmentHealth:
    """How an environment is, from its record of deployments; counts are of the last seven days."""

    environment: str
    status: EnvironmentStatus
    services: int
    completed: int
    unsuccessful: int
    quarantined: int
    last_completed_at: datetime | None
    last_unsuccessful: Deployment | None
    holder: str | None
    """Who drives a deployment there now."""


@dataclass(frozen=True, slots=True)
class Utilisation:
    """What the live instances of an environment may use together, warm ones included, beside its capacity."""

    environment: str
    instances: int
    warm: int
    cpu: float
    memory_mb: int
    shares: Mapping[str, float]
    """Of the capacity, by instances, cpu and memory_mb; what is not limited is not there."""


def read_environment(connection: Connection, name: str) -> Environment:
    """The environment with everything it holds. Raises NotFound."""
    record = _record(connection, name)
    here = select_deployments(with_specification=True).where(deployments.c.environment == name).limit(1)
    unfinished = here.where(deployments.c.finished_at.is_(None))
    current = connection.execute(unfinished.order_by(deployments.c.created_at, deployments.c.id)).one_or_none()
    newest = here.order_by(deployments.c.created_at.desc(), deployments.c.id.desc())
    latest = connection.execute(newest).one_or_none()
    lives = select(instances).where(instances.c.environment == name, LIVES)
    lives = lives.order_by(instances.c.service, instances.c.created_at, instances.c.id)
    return Environment(
        record=record,
        services=tuple(_services(connection, name)),
        instances=tuple(to_instance(row) for row in connection.execute(lives)),
        routes=tuple(to_route(row) for row in _held(connection, routes, name, "service")),
        resources=tuple(to_resource(row) for row in _held(connection, resources, name, "name")),
        current=to_deployment(current) if current else None,
        latest=to_deployment(latest) if latest else None,
    )


def read_health(connection: Connection, name: str) -> EnvironmentHealth:
    """How the environment is. Raises NotFound."""
    found = read_environment(connection, name)
    here = deployments.c.environment == name
    was_unsuccessful = deployments.c.status.in_([status.value for status in UNSUCCESSFUL])
    was_completed = deployments.c.status == DeploymentStatus.COMPLETED.value
    counted = select(func.count().filter(was_completed), func.count().filter(was_unsuccessful))
    completed, unsuccessful = connection.execute(counted.where(here, deployments.c.created_at >= NOW - RECENTLY)).one()
    last = select_deployments().where(here, was_unsuccessful).order_by(deployments.c.created_at.desc()).limit(1)
    last_unsuccessful = connection.execute(last).one_or_none()
    last_completed = select(deployments.c.finished_at).where(here, was_completed)
    last_completed = last_completed.order_by(deployments.c.created_at.desc()).limit(1)
    quarantined = select(func.count()).where(quarantine.c.environment == name, quarantine.c.lifted_at.is_(None))
    holder = select(leases.c.owner).where(leases.c.environment == name, leases.c.expires_at > NOW)
    return EnvironmentHealth(
        environment=name,
        status=found.status,
        services=len(found.services),
        completed=completed,
        unsuccessful=unsuccessful,
        quarantined=connection.scalar(quarantined) or 0,
        last_completed_at=connection.scalar(last_completed),
        last_unsuccessful=to_deployment(last_unsuccessful) if last_unsuccessful else None,
        holder=connection.scalar(holder),
    )


def read_utilisation(connection: Connection, name: str) -> Utilisation:
    """What the environment's instances may use, beside its capacity. Raises NotFound."""
    record = _record(connection, name)
    query = select(
        func.count(),
        func.count().filter(instances.c.state == InstanceLife.WARM.value),
        func.coalesce(func.sum(instances.c.program["cpu"].as_float()), 0.0),
        func.coalesce(func.sum(instances.c.program["memory_mb"].as_integer()), 0),
    )
    count, warm, cpu, memory_mb = connection.execute(query.where(instances.c.environment == name, LIVES)).one()
    limits = {
        "instances": (count, record.capacity.instances),
        "cpu": (cpu, record.capacity.cpu),
        "memory_mb": (memory_mb, record.capacity.memory_mb),
    }
    shares = {kind: float(used / limit) for kind, (used, limit) in limits.items() if limit}
    return Utilisation(name, count, warm, float(cpu), int(memory_mb), shares)


def read_warm(connection: Connection, environment: str) -> dict[str, tuple[RunningRelease, ...]]:
    """By service: earlier stable releases whose instances are kept warm, newest first."""
    endpoint = func.json_build_object(
        "instance", instances.c.id, "port", instances.c.port, "revision", instances.c.revision
    )
    kept = (
        select(instances.c.service, instances.c.revision, func.json_agg(endpoint).label("running"))
        .where(instances.c.environment == environment, instances.c.state == InstanceLife.WARM.value)
        .group_by(instances.c.service, instances.c.revision)
        .subquery()
    )
    query = (
        select(stables, kept.c.running)
        .distinct(stables.c.service, stables.c.revision)
        .join(kept, (kept.c.service == stables.c.service) & (kept.c.revision == stables.c.revision))
        .where(stables.c.environment == environment)
        .order_by(stables.c.service, stables.c.revision, stables.c.id.desc())
    )
    found: dict[str, tuple[RunningRelease, ...]] = {}
    for row in sorted(connection.execute(query), key=lambda row: -int(row.id)):
        found[row.service] = (*found.get(row.service, ()), _to_running(row))
    return found


def _held(connection: Connection, table: Table, environment: str, order: str) -> list[Row[tuple[object, ...]]]:
    query = select(table).where(table.c.environment == environment).order_by(table.c[order])
    return list(connection.execute(query))


def _record(connection: Connection, name: str) -> EnvironmentRecord:
    kept = connection.scalar(select(environments.c.record).where(environments.c.name == name))
    if kept is None:
        raise NotFound(f"There is no environment named {name}.", remedy="`fairlead environment` lists them.")
    return EnvironmentRecord.model_validate(kept)


def _services(connection: Connection, environment: str) -> list[Service]:
    query = (
        select(stables)
        .distinct(stables.c.service)
        .where(stables.c.environment == environment)
        .order_by(stables.c.service, stables.c.id.desc())
    )
    return [
        Service(
            environment=row.environment,
            name=row.service,
            version=row.version,
            release=row.release,
            revision=row.revision,
            deployment=row.deployment,
            stable_since=row.since,
        )
        for row in connection.execute(query)
    ]


def _to_running(row: Row[tuple[object, ...]]) -> RunningRelease:
    return RunningRelease(
        service=row.service,
        revision=row.revision,
        release=row.release,
        version=row.version,
        deployment=row.deployment,
        endpoints=tuple(Endpoint(e["instance"], e["port"] or 0, e["revision"]) for e in row.running),
        cpu=row.cpu,
        memory_mb=row.memory_mb,
    )
