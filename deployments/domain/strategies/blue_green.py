"""Blue-green: all new instances beside the old, then all traffic at once."""

from __future__ import annotations

from collections.abc import Sequence

from deployments.domain.spec.strategy import BlueGreen, Recreate, Rolling
from deployments.domain.strategies.decision import (
    AGAIN,
    Abort,
    Decision,
    Hold,
    Progress,
    Promote,
    Shift,
    Stage,
    even,
    past_deadline,
)
from deployments.domain.values import Verdict


class BlueGreenRules:
    """One stage: everything."""

    has_hold = False

    def stages(
        self, strategy: BlueGreen | Rolling | Recreate, *, new: Sequence[str], old: Sequence[str]
    ) -> tuple[Stage, ...]:
        """One movement of all traffic."""
        return (Stage(1, tuple(new), {**even(new), **even(old, 0)}),)

    def decide(self, progress: Progress, verdict: Verdict) -> Decision:
        """Shift when good; wait while it is not clear; abort when bad or late."""
        if verdict is Verdict.BAD:
            return Abort("A check of the new release failed.")
        if late := past_deadline(progress):
            return late
        if verdict is not Verdict.GOOD:
            return Hold(AGAIN, f"The checks are {verdict}.")
        if progress.stages_done >= progress.stages:
            return Promote()
        return Shift(progress.stages_done + 1)
