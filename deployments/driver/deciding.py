"""Asks a service's strategy what to do now."""

from __future__ import annotations

from datetime import datetime, timedelta

from deployments.domain.steps import ShiftTraffic
from deployments.domain.strategies.decision import Decision, Progress
from deployments.domain.strategies.table import STRATEGIES
from deployments.domain.values import Verdict
from deployments.driver.run import Run


def decide(run: Run, service: str, *, stages_done: int, verdict: Verdict) -> Decision:
    """The strategy's decision from where the rollout stands and what the last checks said."""
    rules = STRATEGIES[run.plan.change(service).strategy]
    return rules.decide(progress_of(run, service, stages_done), verdict)


def progress_of(run: Run, service: str, stages_done: int) -> Progress:
    """Where the rollout stands, from the receipts."""
    now = run.world.clock.now()
    shifts = [s.action for s in run.plan.steps if isinstance(s.action, ShiftTraffic) and s.service == service]
    before = run.receipts.get(f"shift:{service}:{stages_done}")
    pause = shifts[stages_done - 1].pause_seconds if before and stages_done else 0.0
    return Progress(
        stages_done=stages_done,
        stages=len(shifts),
        elapsed=now - run.began.get(service, now),
        deadline=run.service(service).timing.progress_deadline,
        since_shift=now - datetime.fromisoformat(str(before["at"])) if before else timedelta(0),
        pause=timedelta(seconds=pause),
    )
