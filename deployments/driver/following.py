"""What a process does that could not end its own deployment: its lease was lost, or the records were away for long.

It does not leave the deployment in between. It waits until the records answer; a deployment that somebody else has
taken over is followed to its end, and one that nobody drives is taken over again, with a new fence, by this process
itself. So a single `fairlead deploy` comes back by itself when the database does.
"""

from __future__ import annotations

from deployments.domain.entities import Deployment
from deployments.domain.errors import Conflict, DeploymentError, IllegalTransition, LeaseLost, Unavailable
from deployments.domain.events import DeploymentEvent, DeploymentEventKind
from deployments.domain.status import DeploymentStatus
from deployments.driver.enduring import PATIENCE, pauses
from deployments.driver.reconciling import take_over
from deployments.driver.world import World
from deployments.store.leases import Lease


def bring_to_an_end(world: World, lease: Lease, deployment: str, cause: DeploymentError) -> DeploymentStatus:
    """The status it ended in, by this process or as the holder of `lease` left it.

    Raises LeaseLost, naming who took it over and how it ended, when somebody else ended it in another way than asked;
    and the last obstacle when it has not ended within `PATIENCE`.
    """
    end = world.clock.monotonic() + PATIENCE.total_seconds()
    for pause in pauses():
        try:
            world.records.leases.release(lease)
            record = world.records.deployments.get(deployment)
            if not record.is_final:
                return take_over(world, record)
            taker = taker_of(world, record)
        except (Conflict, Unavailable, IllegalTransition) as error:
            if world.clock.monotonic() > end:
                raise unfinished(deployment, error) from error
            world.clock.sleep(pause)
        else:
            return told(record, taker, lease, cause)
    raise AssertionError("pauses have no end")


def told(record: Deployment, taker: str | None, lease: Lease, cause: DeploymentError) -> DeploymentStatus:
    """The status of one that has ended; what somebody else made of it is an error that says so, unless it completed."""
    if record.status is DeploymentStatus.COMPLETED or taker is None:
        return record.status
    raise LeaseLost(
        f"{taker} took {record.name} over from this process ({lease.owner}), and it ended"
        f" {record.status.value.replace('_', ' ')}: {record.message} Why this process stopped: {cause.message}",
        remedy=f"This process has changed nothing since. See: fairlead show {record.name}.",
        environment=record.environment,
        deployment=record.id,
        holder=taker,
        status=record.status.value,
    ) from cause


def taker_of(world: World, record: Deployment) -> str | None:
    """Who took it over last; None when nobody did."""
    takers = [
        str(event.data.get("owner", "another process"))
        for event in world.records.events.timeline(deployment=record.id)
        if isinstance(event, DeploymentEvent) and event.kind is DeploymentEventKind.TAKEN_OVER
    ]
    return takers[-1] if takers else None


def unfinished(deployment: str, obstacle: DeploymentError) -> DeploymentError:
    """The obstacle's own kind of error, with where it leaves the deployment."""
    return type(obstacle)(
        f"{deployment} has not ended, and this process has given up: {obstacle.message}",
        remedy=f"{obstacle.remedy or ''} `fairlead up`, or the next command, brings it to its end.".strip(),
        deployment=deployment,
    )
