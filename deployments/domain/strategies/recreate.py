"""Recreate: stop the old, start the new, while requests wait in the proxy."""

from __future__ import annotations

from collections.abc import Sequence

from deployments.domain.spec.strategy import BlueGreen, Recreate, Rolling
from deployments.domain.strategies.decision import (
    Abort,
    Decision,
    Progress,
    Promote,
    Shift,
    Stage,
    even,
    past_deadline,
)
from deployments.domain.values import Verdict


class RecreateRules:
    """One stage; nothing is waited for while people wait."""

    has_hold = True

    def stages(
        self, strategy: BlueGreen | Rolling | Recreate, *, new: Sequence[str], old: Sequence[str]
    ) -> tuple[Stage, ...]:
        """One movement; the old instances are gone by then."""
        return (Stage(1, tuple(new), even(new)),)

    def decide(self, progress: Progress, verdict: Verdict) -> Decision:
        """Shift only when good: requests are waiting, so anything else aborts at once."""
        if verdict is Verdict.BAD:
            return Abort("A check of the new release failed.")
        if late := past_deadline(progress):
            return late
        if verdict is not Verdict.GOOD:
            return Abort(f"The checks are {verdict}, and requests are waiting.")
        if progress.stages_done >= progress.stages:
            return Promote()
        return Shift(progress.stages_done + 1)
