"""Takes up what nobody drives: deployments whose lease expired, and instances whose warm time is over."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

from deployments.domain.entities import Deployment, InstanceLife
from deployments.domain.errors import Conflict, DeploymentError, LeaseHeld, LeaseLost, Refused, Unavailable
from deployments.domain.status import DeploymentStatus
from deployments.driver.keeping import LeaseKeeper
from deployments.driver.opening import owner_name, resume, take_lease
from deployments.driver.recovery import RETURNED, resume_undo, take_up
from deployments.driver.world import World

log = logging.getLogger("fairlead.reconciler")
AT_ONCE = 8
"""Environments that are looked after at the same time."""


def reconcile_all(world: World) -> list[str]:
    """One round over every environment, side by side; returns a line for each thing done.

    An environment whose way back takes its time keeps no other waiting. What is away now is tried in the next round.
    """
    names = [record.name for record in world.records.environments.all()]
    if not names:
        return []
    with ThreadPoolExecutor(min(len(names), AT_ONCE), thread_name_prefix="reconcile") as pool:
        return list(chain.from_iterable(pool.map(lambda name: reconcile_one(world, name), names)))


def reconcile_one(world: World, environment: str) -> list[str]:
    """Everything that one environment is due."""
    done: list[str] = []
    try:
        done += reconcile_environment(world, environment)
        done += retire_due(world, environment)
    except (Conflict, Unavailable) as error:
        log.warning("reconcile_postponed", extra={"environment": environment, "cause": str(error)})
    return done


def reconcile_environment(world: World, environment: str, *, excluding: str | None = None) -> list[str]:
    """Drive every deployment of the environment that is driven by nobody to its end."""
    done = []
    for undriven in world.records.leases.undriven(world.timings.takeover - world.timings.lease):
        if undriven.environment != environment or undriven.deployment == excluding:
            continue
        record = world.records.deployments.get(undriven.deployment)
        try:
            status = take_over(world, record)
        except (LeaseHeld, LeaseLost):
            continue
        except DeploymentError as error:
            log.exception("takeover_failed", extra={"deployment": record.id, "cause": str(error)})
            continue
        done.append(f"{record.name}: taken over, {status.value}")
    return done


def take_over(world: World, record: Deployment) -> DeploymentStatus:
    """Take the lease with a higher fence, record why, and drive it on or back."""
    lease = take_lease(world, record.environment, owner_name())
    run = resume(world, world.records.deployments.get(record.id), lease)
    note = world.records.deployments.note
    note(lease, record.id, "TakenOver", f"Nobody drove it: its lease had expired while it was {record.status}.")
    if run.proxy.handle().has_fired:
        note(lease, record.id, "TrafficReturned", RETURNED)
    with LeaseKeeper(run):
        return take_up(run)


def retire_due(world: World, environment: str) -> list[str]:
    """Retire instances whose warm time is over, under a lease of our own; postponed while somebody deploys."""
    due = [i for i in world.records.instances.due_for_retirement() if i.environment == environment]
    if not due:
        return []
    try:
        lease = take_lease(world, environment, owner_name())
    except LeaseHeld:
        return []
    try:
        for instance in due:
            proxy = world.proxy(environment)
            has_route = any(route.service == instance.service for route in proxy.routes())
            if has_route and any(b.endpoint.instance == instance.id for b in proxy.backends(instance.service)):
                proxy.detach(instance.service, instance.id, fence=lease.fence)
            world.supervisor.ensure_stopped(instance.id, grace=world.timings.lease / 2, fence=lease.fence)
            world.provisioner.release_port(instance.id)
            world.records.instances.set_state(lease, instance.id, InstanceLife.RETIRED)
    finally:
        world.records.leases.release(lease)
    return [f"{instance.id}: retired" for instance in due]


def bring_back_flow_run(world: World, flow_run: str, state: str) -> str:
    """What a hook asks for: drive the flow run's deployment to its end. Returns a line for the log.

    Another process that drives it keeps it. A crashed run's lease may still have seconds to live: it is waited for.
    """
    record = world.records.deployments.by_flow_run(flow_run)
    if record is None:
        return "it opened no deployment"
    end = world.clock.monotonic() + world.timings.takeover.total_seconds()
    while not record.is_final:
        try:
            return f"taken over, {take_over(world, record).value}"
        except (LeaseHeld, LeaseLost):
            if world.clock.monotonic() > end:
                return f"{record.name} is {record.status} and driven by another process"
        world.clock.sleep(world.poll * 10)
        record = world.records.deployments.get(record.id)
    return f"{record.name} is {record.status} already"


def resume_rollback(world: World, deployment: str) -> DeploymentStatus:
    """Finish a way back that a person was asked to help with, or that waited for one (`automatic: false`).

    Raises LeaseHeld while somebody else changes the environment, Refused when there is nothing to resume.
    """
    record = world.records.deployments.get(deployment)
    if record.status not in RESUMABLE:
        raise Refused(
            f"{record.name} is {record.status}: there is no way back to finish.",
            remedy=f"To return to the release before: fairlead rollback {record.environment}.",
        )
    lease = take_lease(world, record.environment, owner_name())
    run = resume(world, record, lease)
    with LeaseKeeper(run):
        return resume_undo(run)


RESUMABLE = (
    DeploymentStatus.ROLLBACK_FAILED,
    DeploymentStatus.FAILED,
    DeploymentStatus.CANCELLED,
    DeploymentStatus.TIMED_OUT,
)
