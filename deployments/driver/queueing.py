"""The queue of an environment: one deployment at a time, first what a lost controller left."""

from __future__ import annotations

from deployments.domain.entities import Deployment
from deployments.domain.errors import Cancelled, DeadlinePassed, LeaseHeld
from deployments.driver.opening import take_lease
from deployments.driver.reconciling import give_way, reconcile_environment
from deployments.driver.world import World
from deployments.store.leases import Lease


def wait_for_lease(world: World, deployment: Deployment, owner: str) -> Lease:
    """Wait in the queue until the environment is free; what was left by a lost controller is taken up first."""
    clock, environment = world.clock, deployment.environment
    end = clock.monotonic() + world.queue.total_seconds()
    while True:
        reconcile_environment(world, environment, excluding=deployment.id)
        try:
            lease = take_lease(world, environment, owner)
            give_way(world, lease, deployment.id)
            return lease
        except LeaseHeld as error:
            command = world.records.commands.pending(deployment.id)
            if command is not None:
                raise Cancelled(f"{command.by} asked to {command.kind}.", by=command.by) from error
            if clock.monotonic() > end:
                raise DeadlinePassed(
                    f"{environment} was not free within {world.queue}: {error.message}",
                    remedy="Wait for the other deployment, or cancel it.",
                ) from error
        clock.sleep(world.poll * 4)
