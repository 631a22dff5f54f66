"""What Prefect's record of a run should say, by what ours says. Pure: the facts are given, and so is the time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from prefect.client.schemas.objects import FlowRun, StateType

from deployments.domain.entities import Deployment
from deployments.domain.status import DeploymentStatus, Reason
from flows.presence import Presence

PATIENCE = {
    Presence.LOST: timedelta(seconds=5),
    Presence.UNKNOWN: timedelta(seconds=10),
    Presence.ALIVE: timedelta(minutes=15),
}
"""How long after its deployment's end a run may take to say itself how it ended. A process that lives may be trying
for minutes, while Prefect's server is away."""
NEVER_OPENED = timedelta(minutes=15)
"""A run opens its deployment within seconds, before it waits for anything."""
WHAT_BECAME = {
    Presence.LOST: "Its process was lost.",
    Presence.UNKNOWN: "Its process did not say how it ended.",
    Presence.ALIVE: "Its process lives, and did not say how it ended.",
}


@dataclass(frozen=True, slots=True)
class End:
    """The state that a run is put into: Completed, Cancelled or Crashed."""

    state: StateType
    message: str


def decide_end(
    run: FlowRun, record: Deployment | None, presence: Presence, *, finisher: str = "", now: datetime
) -> End | None:
    """None for a run that may still say itself how it ended, or whose deployment somebody still drives."""
    if record is not None and is_of_this_attempt(record, run):
        if record.finished_at is None or now - record.finished_at < PATIENCE[presence]:
            return None
        return End(state_for(record), message_for(record, presence, finisher))
    silent = now - since(run)
    if silent < (PATIENCE[presence] if presence is Presence.LOST else NEVER_OPENED) or presence is Presence.ALIVE:
        return None
    state = StateType.CANCELLED if run.state_type is StateType.CANCELLING else StateType.CRASHED
    return End(state, f"{WHAT_BECAME[presence]} It had opened no deployment, so nothing was touched.")


def end_like_parent(child: FlowRun, parent: FlowRun, record: Deployment | None, *, now: datetime) -> End | None:
    """A subflow run ran in its parent's process; left unfinished when the parent ended, it ends as the parent did."""
    if parent.state is None or not parent.state.is_final() or now - since(parent) < PATIENCE[Presence.LOST]:
        return None
    if record is not None and record.is_final and is_of_this_attempt(record, child):
        return End(state_for(record), parent.state.message or message_for(record, Presence.LOST, ""))
    state = StateType.CANCELLED if parent.state.is_cancelled() else StateType.CRASHED
    return End(state, f"It was left unfinished when the run that it is a part of ended {parent.state.name}.")


def is_of_this_attempt(record: Deployment, run: FlowRun) -> bool:
    """A run that Prefect repeats keeps its id: what its last attempt deployed says nothing of the present one."""
    return record.finished_at is None or run.run_count <= 1 or record.finished_at >= since(run)


def since(run: FlowRun) -> datetime:
    """When the run entered its present state."""
    if run.state is None:
        raise ValueError(f"The flow run {run.id} has no state.")
    return run.state.timestamp


def state_for(record: Deployment) -> StateType:
    """How Prefect calls an end of ours that nobody reported."""
    if record.status is DeploymentStatus.COMPLETED:
        return StateType.COMPLETED
    return StateType.CANCELLED if was_cancelled(record) else StateType.CRASHED


def was_cancelled(record: Deployment) -> bool:
    """A person asked to cancel, and that is done: nothing of it is left."""
    gone = (DeploymentStatus.CANCELLED, DeploymentStatus.ROLLED_BACK)
    return record.status in gone and record.reason is Reason.CANCELLED


def message_for(record: Deployment, presence: Presence, finisher: str) -> str:
    """What is told of the run: what became of its process, and who brought the deployment to which end."""
    by = f" by {finisher}" if finisher else ""
    status = record.status.value.replace("_", " ")
    return f"{WHAT_BECAME[presence]} The deployment {record.name} was brought to its end{by}: {status}."
