"""Takes up what nobody drives: deployments whose lease expired, and instances whose warm time is over."""

from __future__ import annotations

import logging

from deployments.domain.entities import Deployment, InstanceLife
from deployments.domain.errors import Conflict, DeploymentError, LeaseHeld, LeaseLost, Unavailable
from deployments.domain.status import DeploymentStatus
from deployments.driver.keeping import LeaseKeeper
from deployments.driver.opening import owner_name, resume, take_lease
from deployments.driver.recovery import take_up
from deployments.driver.world import World

log = logging.getLogger("fairlead.reconciler")


def reconcile_all(world: World) -> list[str]:
    """One round over every environment; returns a line for each thing done. What is away now is tried next round."""
    done = []
    for environment in world.records.environments.names():
        try:
            done += reconcile_environment(world, environment)
            done += retire_due(world, environment)
        except (Conflict, Unavailable) as error:
            log.warning("reconcile_postponed", extra={"environment": environment, "cause": str(error)})
    return done


def reconcile_environment(world: World, environment: str, *, excluding: str | None = None) -> list[str]:
    """Drive every deployment of the environment that is driven by nobody to its end."""
    done = []
    for record in world.records.leases.abandoned(environment):
        if record.id == excluding or is_waiting_its_turn(record, excluding):
            continue
        try:
            status = take_over(world, record)
        except (LeaseHeld, LeaseLost):
            continue
        except DeploymentError as error:
            log.error("takeover_failed", extra={"deployment": record.id, "cause": str(error)})
            continue
        done.append(f"{record.name}: taken over, {status.value}")
    return done


def is_waiting_its_turn(record: Deployment, excluding: str | None) -> bool:
    """A queued deployment has touched nothing; its own process waits for the lease, or the next round ends it."""
    return record.status in (DeploymentStatus.PENDING, DeploymentStatus.QUEUED) and excluding is not None


def take_over(world: World, record: Deployment) -> DeploymentStatus:
    """Take the lease with a higher fence, record why, and drive it on or back."""
    lease = take_lease(world, record.environment, owner_name())
    run = resume(world, world.records.deployments.get(record.id), lease)
    world.records.deployments.note(
        lease, record.id, "TakenOver", f"Nobody drove it: its lease had expired while it was {record.status}."
    )
    with LeaseKeeper(run):
        return take_up(run)


def retire_due(world: World, environment: str) -> list[str]:
    """Retire instances whose warm time is over, under a lease of our own; postponed while somebody deploys."""
    due = world.records.instances.due_for_retirement(environment)
    if not due:
        return []
    try:
        lease = take_lease(world, environment, owner_name())
    except LeaseHeld:
        return []
    try:
        for instance in due:
            proxy = world.proxy(environment)
            if any(b.endpoint.instance == instance.id for b in proxy.backends(instance.service)):
                proxy.detach(instance.service, instance.id, fence=lease.fence)
            world.supervisor.ensure_stopped(instance.id, grace=world.timings.lease / 2, fence=lease.fence)
            world.provisioner.release_port(instance.id)
            world.records.instances.set_state(lease, instance.id, InstanceLife.RETIRED)
    finally:
        world.records.leases.release(lease)
    return [f"{instance.id}: retired" for instance in due]
