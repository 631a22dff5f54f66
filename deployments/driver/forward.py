"""The way forward without Prefect: the phases in the order of the flow, for a deployment that somebody else began."""

from __future__ import annotations

from deployments.domain.plan import Plan, ready_steps
from deployments.domain.status import DeploymentStatus, Reason
from deployments.domain.steps import Phase
from deployments.driver.ending import end
from deployments.driver.performing import perform
from deployments.driver.planning import judge_rules, make_plan, refuse
from deployments.driver.run import Run

S = DeploymentStatus
ORDER = (
    S.PENDING,
    S.QUEUED,
    S.VALIDATING,
    S.AWAITING_APPROVAL,
    S.PREPARING,
    S.PROVISIONING,
    S.DEPLOYING,
    S.PAUSED,
    S.TESTING,
    S.MONITORING,
    S.COMPLETED,
)


def go_forward(run: Run) -> None:
    """All phases from where the journal stands: a step with a receipt is not repeated. Raises what ends it."""
    enter(run, S.VALIDATING)
    if not run.has_plan:
        make_plan(run)
        refuse(run, judge_rules(run))
    enter(run, S.PREPARING)
    enter(run, S.PROVISIONING)
    drive_phase(run, run.plan, Phase.PREPARATION)
    if not run.plan.is_empty and not run.specification.skip_deploy:
        enter(run, S.DEPLOYING)
        drive_phase(run, run.plan, Phase.DEPLOYMENT)
        enter(run, S.TESTING)
        enter(run, S.MONITORING)
        drive_phase(run, run.plan, Phase.TESTING)
        drive_phase(run, run.plan, Phase.COMPLETION)
    complete(run)


def enter(run: Run, status: DeploymentStatus) -> None:
    """Advance to a state on the way forward; one that was passed already (a resumed run) is skipped."""
    run.interruption.check()
    deployments = run.world.records.deployments
    present = deployments.get(run.deployment).status
    if ORDER.index(present) < ORDER.index(status):
        if present is S.PENDING:
            deployments.advance(run.lease, run.deployment, S.QUEUED)
        deployments.advance(run.lease, run.deployment, status)


def complete(run: Run) -> None:
    """Everything is done: the end, with the lease given back."""
    reason = Reason.NOTHING_TO_DO if run.plan.is_empty else Reason.NONE
    run.world.records.deployments.advance(run.lease, run.deployment, S.COMPLETED, reason=reason)
    end(run, S.COMPLETED)


def drive_phase(run: Run, plan: Plan, phase: Phase) -> None:
    """The steps of a phase one after the other, in an order that the plan allows."""
    steps = plan.of_phase(phase)
    done = {step.key for step in steps if step.key in run.receipts}
    while ready := ready_steps(steps, done, done):
        for step in ready:
            perform(run, step)
            done.add(step.key)
