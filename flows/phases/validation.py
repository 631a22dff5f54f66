"""The validation phase: look, plan, judge every rule. Nothing is touched."""

from __future__ import annotations

from prefect import flow
from prefect.logging import get_run_logger

from deployments.driver.planning import digest_of_inputs, refuse
from flows.phases.passing import at_work
from tasks.runs import held
from tasks.validating import judge_rules_once, observe_and_plan


@flow(name="validation", flow_run_name="validation of {deployment}", persist_result=False)
async def validation(deployment: str) -> None:
    """Raise ValidationFailed, SecurityError or Quarantined when a rule forbids it or could not be judged."""
    with at_work():
        await observe_and_plan(deployment)
        run = held(deployment)
        judged = await judge_rules_once(deployment, digest_of_inputs(run))
        log = get_run_logger()
        for result in judged.results:
            if not (result.is_valid and result.is_complete):
                log.warning("%s: %s", result.validator, result.message)
        refuse(run, judged)
