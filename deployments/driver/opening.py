"""Opens a deployment: its record, the environment's lease, the data plane armed with the new fence."""

from __future__ import annotations

import os
import platform
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from deployments.domain.codec import plan_from_json
from deployments.domain.entities import Deployment
from deployments.domain.events import SecurityEvent, SecurityEventKind, Source
from deployments.domain.facts import Principal
from deployments.domain.plan import Plan
from deployments.domain.sanitising import SanitisedChange
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.driver.locks import locks_from_json
from deployments.driver.run import Run
from deployments.driver.world import World
from deployments.store.deployments import Document
from deployments.store.leases import Lease

TAKEN_AGAIN_AT_MOST = 2
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True)
class Request:
    """What a person or a trigger asked for."""

    specification: DeploymentSpecification
    principal: Principal
    base: Path
    flow_run: str | None = None
    parent: str | None = None
    retry: int = 0
    is_rollback: bool = False
    sanitised: tuple[SanitisedChange, ...] = ()
    """What was taken out of the texts of the specification."""


def new_id(now: datetime) -> str:
    """An id that sorts by time: date, time and eight random letters."""
    return f"{now:%Y%m%d-%H%M%S}-" + "".join(secrets.choice(ALPHABET) for _ in range(8))


def owner_name() -> str:
    """Who holds a lease: host, process, and a number of its own."""
    return f"{platform.node()}:{os.getpid()}:{secrets.token_hex(4)}"


def open_deployment(world: World, request: Request) -> Deployment:
    """Record what is asked; the environment is made with defaults when it is new. Raises Refused for a name in use."""
    specification = request.specification
    identity = new_id(world.clock.now())
    return world.records.deployments.open(
        id=identity,
        project=specification.project,
        environment=specification.target_environment,
        name=specification.name or f"{specification.project}-{identity}",
        created_by=specification.created_by or request.principal.name,
        correlation_id=specification.correlation_id or identity,
        specification=specification.model_dump(mode="json", by_alias=True),
        request={
            "base": str(request.base),
            "principal": request.principal.name,
            "is_verified": request.principal.is_verified,
        },
        services=tuple((s.name, s.version) for s in specification.services),
        flow_run=request.flow_run,
        parent=request.parent,
        retry=request.retry,
        is_rollback=request.is_rollback,
        events=[sanitising_event(request, identity, change, world.clock.now()) for change in request.sanitised],
    )


def sanitising_event(request: Request, deployment: str, change: SanitisedChange, at: datetime) -> SecurityEvent:
    """Tells that a text from outside was changed before it was used."""
    return SecurityEvent(
        kind=SecurityEventKind.INPUT_SANITISED,
        principal=request.principal.name,
        environment=request.specification.target_environment,
        correlation_id=request.specification.correlation_id or deployment,
        source=Source.DRIVER,
        at=at,
        deployment=deployment,
        message=f"{change.field}: {change.what}",
    )


def take_lease(world: World, environment: str, owner: str) -> Lease:
    """The lease with a fence above everything that records and data plane have seen. Raises LeaseHeld.

    A data plane that has to be started first may take longer than a lease lasts; then it is taken again.
    """
    began = world.clock.monotonic()
    lease = take(world, environment, owner)
    for _ in range(TAKEN_AGAIN_AT_MOST):
        if world.clock.monotonic() - began < world.timings.lease.total_seconds() / 2:
            break
        began = world.clock.monotonic()
        lease = take(world, environment, owner)
    return lease


def take(world: World, environment: str, owner: str) -> Lease:
    """The lease, and the data plane running and armed with its fence."""
    lease = world.records.leases.acquire(
        environment, owner, ttl=world.timings.lease, minimum_fence=highest_fence(world, environment)
    )
    world.supervisor.ensure_running()
    world.supervisor.admit(environment, fence=lease.fence)
    world.proxy(environment).ensure_running(fence=lease.fence)
    return lease


def highest_fence(world: World, environment: str) -> int:
    """What the data plane has seen: a record from before a restore does not know it, and would lock itself out."""
    return max(world.proxy(environment).highest_fence(), world.supervisor.highest_fence(environment))


def is_here(world: World, environment: str) -> bool:
    """Whether the environment's data plane was ever on this machine; another one may share the records."""
    return highest_fence(world, environment) > 0


def resume(world: World, record: Deployment, lease: Lease) -> Run:
    """A run of a deployment with everything its journal knows.

    A rollback takes the locks of the deployment it returns to: what its paths and branches hold by now does not matter.
    """
    deployments = world.records.deployments
    asked, plan = deployments.document(record.id, Document.REQUEST), deployments.plan(record.id)
    locks = deployments.document(record.id, Document.LOCKS)
    if locks is None and record.is_rollback and record.parent:
        locks = deployments.document(record.parent, Document.LOCKS)
    asked = asked if isinstance(asked, dict) else {}
    specification = DeploymentSpecification.model_validate(dict(record.specification))
    run = Run(
        world=world,
        deployment=record.id,
        specification=specification,
        principal=Principal(str(asked.get("principal", record.created_by)), bool(asked.get("is_verified"))),
        lease=lease,
        plan=plan_from_json(plan) if plan else empty_plan(record),
        has_plan=bool(plan),
        is_rollback=record.is_rollback,
        base=Path(str(asked.get("base", "/"))),
        locks=locks_from_json(locks) if isinstance(locks, dict) else {},
    )
    for entry in world.records.journal.entries(record.id):
        if entry.is_done:
            run.receipts[entry.key] = dict(entry.values)
    for step in run.plan.steps:
        if step.service and step.key in run.receipts:
            run.began.setdefault(step.service, record.created_at)
    return run


def empty_plan(record: Deployment) -> Plan:
    """The plan of a deployment that was lost before it was planned: nothing was touched."""
    return Plan(record.environment, (), ())
