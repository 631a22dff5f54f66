"""Rolling: a batch of new instances at a time, each taking its share; the old stay warm until the end."""

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


class RollingRules:
    """One stage per batch."""

    has_hold = False

    def stages(
        self, strategy: BlueGreen | Rolling | Recreate, *, new: Sequence[str], old: Sequence[str]
    ) -> tuple[Stage, ...]:
        """After batch k of n, the new instances carry the share of those started; the old carry the rest."""
        assert isinstance(strategy, Rolling)
        found = []
        for index, start in enumerate(range(0, len(new), strategy.batch), start=1):
            serving = new[: start + strategy.batch]
            share = len(serving) / len(new)
            weights = {**even(serving, share), **even(old, 1 - share)}
            found.append(Stage(index, tuple(new[start : start + strategy.batch]), weights, strategy.pause))
        return tuple(found)

    def decide(self, progress: Progress, verdict: Verdict) -> Decision:
        """Shift the next batch when the last one held for its pause."""
        if verdict is Verdict.BAD:
            return Abort("A check of the new release failed.")
        if late := past_deadline(progress):
            return late
        if verdict is not Verdict.GOOD:
            return Hold(AGAIN, f"The checks are {verdict}.")
        if progress.stages_done and progress.since_shift < progress.pause:
            return Hold(progress.pause - progress.since_shift, "The batch has not carried traffic long enough.")
        if progress.stages_done >= progress.stages:
            return Promote()
        return Shift(progress.stages_done + 1)
