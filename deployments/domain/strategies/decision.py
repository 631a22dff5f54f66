"""What a strategy can decide, and what it decides from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from deployments.domain.spec.strategy import BlueGreen, Recreate, Rolling
from deployments.domain.values import Verdict

FULL = 256
"""The highest weight the proxy knows."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One movement of traffic: the new instances it starts, and every instance's weight after it."""

    index: int
    instances: tuple[str, ...]
    weights: Mapping[str, int]
    pause: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a service's rollout stands. `since_shift` is the time since the last movement of traffic."""

    stages_done: int
    stages: int
    elapsed: timedelta
    deadline: timedelta
    since_shift: timedelta = timedelta(0)
    pause: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Shift:
    """Move traffic to this stage."""

    stage: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Leave the traffic as it is and look again in `wait`."""

    wait: timedelta
    reason: str


@dataclass(frozen=True, slots=True)
class Promote:
    """All stages are done and good."""


@dataclass(frozen=True, slots=True)
class Abort:
    """Return all traffic."""

    reason: str


Decision = Shift | Hold | Promote | Abort
AGAIN = timedelta(milliseconds=500)


class StrategyRules(Protocol):
    """One strategy: its stages, and its decision at each moment."""

    has_hold: bool
    """Whether the old instances stop before the new ones start, while requests wait in the proxy."""

    def stages(
        self, strategy: BlueGreen | Rolling | Recreate, *, new: Sequence[str], old: Sequence[str]
    ) -> tuple[Stage, ...]:
        """The movements of traffic from `old` to `new`."""

    def decide(self, progress: Progress, verdict: Verdict) -> Decision:
        """What to do now."""


def even(instances: Sequence[str], share: float = 1.0) -> dict[str, int]:
    """Weights that give these instances together `share` of the traffic; at least 1 each while the share is not 0."""
    if not instances or share <= 0:
        return dict.fromkeys(instances, 0)
    each = max(1, round(FULL * share / len(instances)))
    return dict.fromkeys(instances, min(FULL, each))


def past_deadline(progress: Progress) -> Abort | None:
    """Abort once the rollout took longer than its progress deadline."""
    if progress.elapsed > progress.deadline:
        return Abort(f"The progress deadline of {progress.deadline.total_seconds():g} s has passed.")
    return None
