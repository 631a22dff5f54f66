"""Performs one journalled step: intent, effect, receipt.

The intent is committed before the effect and the receipt after it, each in a transaction that locks the lease's row:
a process that lost its lease can write neither. A step that was left in doubt, with an intent and no receipt, is
performed again: every effect looks at the world first and makes only what is missing, so the second finds the first.
"""

from __future__ import annotations

from deployments.domain.codec import action_to_json
from deployments.domain.retries import rule_for
from deployments.domain.steps import Phase, Receipt, Step
from deployments.driver.effects.table import EFFECTS
from deployments.driver.enduring import AWAY, PATIENCE
from deployments.driver.run import Run


def perform(run: Run, step: Step) -> Receipt:
    """Bring the step about and return the proof; a step with a receipt is not repeated.

    Raises what the effect raises, LeaseLost when the environment is somebody else's by now, and whatever the run was
    interrupted with.
    """
    run.interruption.check()
    known = run.receipts.get(step.key)
    if known is not None:
        return Receipt(step.key, known)
    if step.service and step.phase is Phase.DEPLOYMENT:
        run.began.setdefault(step.service, run.world.clock.now())
    journal = run.world.records.journal
    finished = journal.intend(run.lease, run.deployment, step.key, action_to_json(step.action))
    if finished is None:
        finished = effect_of(run, step)
        journal.receipt(run.lease, run.deployment, step.key, finished)
    run.receipts[step.key] = finished
    return Receipt(step.key, finished)


def effect_of(run: Run, step: Step) -> dict[str, object]:
    """The effect, repeated as its error's family allows while the run may go on.

    Records that are away may have been waited for already, with all patience, when their error arrives here.
    """
    clock = run.world.clock
    attempt, began = 0, clock.monotonic()
    while True:
        try:
            return EFFECTS[type(step.action)](step.action, run)
        except Exception as error:
            rule = rule_for(error)
            has_waited = isinstance(error, AWAY) and clock.monotonic() - began > PATIENCE.total_seconds()
            if attempt >= len(rule.delays) or has_waited:
                raise
            run.interruption.check()
            clock.sleep(rule.delays[attempt])
            attempt += 1
