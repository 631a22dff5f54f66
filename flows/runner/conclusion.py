"""What becomes of a run whose process has ended. Pure: it looks at Prefect's state and at how the process ended."""

from __future__ import annotations

from dataclasses import dataclass

from prefect.client.schemas.objects import StateType

PARKED = {StateType.SCHEDULED, StateType.PAUSED}
"""The process left on purpose; Prefect starts the run again when it is time."""
FINISHED = {StateType.COMPLETED, StateType.FAILED, StateType.CANCELLED}


@dataclass(frozen=True, slots=True)
class Nothing:
    """The run reported its own end."""


@dataclass(frozen=True, slots=True)
class MarkCancelled:
    """Somebody cancelled the run, and its process has gone."""

    message: str


@dataclass(frozen=True, slots=True)
class MarkCrashed:
    """The process has gone without saying how the run ended."""

    message: str


@dataclass(frozen=True, slots=True)
class StartAgain:
    """The run was claimed and its process never began."""


Conclusion = Nothing | MarkCancelled | MarkCrashed | StartAgain


def decide_conclusion(
    state: StateType | None, *, was_cancelled: bool, has_begun: bool, status: int | None
) -> Conclusion:
    """`status`: the exit status when known, negative for a signal. `has_begun`: whether a process ever held the run."""
    if state is None or state in FINISHED or state in PARKED:
        return Nothing()
    if state is StateType.CANCELLING or was_cancelled:
        return MarkCancelled("Cancelled; the run's process has ended.")
    if state is StateType.CRASHED:
        return Nothing()
    if state is StateType.PENDING and not has_begun:
        return StartAgain()
    return MarkCrashed(f"The run's process {how_it_ended(status)} without reporting an end.")


def how_it_ended(status: int | None) -> str:
    """In words."""
    if status is None:
        return "was gone"
    if status < 0:
        return f"was ended by signal {-status}"
    return f"ended with status {status}"
