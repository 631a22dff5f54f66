"""The parent flow: one run of it is one deployment, in five phases."""

from __future__ import annotations

from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Cancelled, Crashed
from pydantic import Field

from deployments.domain import errors
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.status import DeploymentStatus
from deployments.driver.conducting import Conductor
from deployments.driver.run import Run
from flows.ends import was_cancelled
from flows.hooks import bring_back
from flows.phases.completion import completion
from flows.phases.deployment import deployment as deployment_phase
from flows.phases.passing import Phases
from flows.phases.preparation import preparation
from flows.phases.testing import testing
from flows.phases.validation import validation
from flows.reporting import markdown_report, plan_tables
from flows.showing import show
from flows.stopping import STOPPED, heeding_sigterm, interrupt_step, leave_queue, told_to_stop
from flows.unread import outlive_the_reader
from flows.worlds import world_of_this_process
from tasks.runs import RUNS, in_thread

Principal = Annotated[str | None, Field(description="Who asks; a name that a trigger states is not verified.")]
Base = Annotated[str | None, Field(description="Directory that the paths of the specification are relative to.")]

PARTS: ContextVar[list[str] | None] = ContextVar("parts", default=None)
"""Where a run that is a part of another one leaves its id: Prefect may be away when it could say how that ended."""


@flow(
    name="deploy",
    flow_run_name="{specification.project} to {specification.target_environment}",
    on_failure=[bring_back],
    on_crashed=[bring_back],
    on_cancellation=[bring_back],
    persist_result=False,
)
async def deploy(
    specification: DeploymentSpecification,
    principal: Principal = None,
    base: Base = None,
    parent: Annotated[str | None, Field(description="The deployment this one repeats or takes back.")] = None,
    is_rollback: Annotated[bool, Field(description="Return to this specification without canary steps.")] = False,
) -> dict[str, Any] | State[Any]:
    """Bring the environment to the specification: completely, or not at all.

    Returns the deployment's id, name and status. Raises what ended it, after everything it had touched is back. One
    that a person cancelled is Cancelled in Prefect too, which runs no hooks: there is nothing left to do.
    """
    outlive_the_reader()
    conductor = Conductor(world_of_this_process())
    if (parts := PARTS.get()) is not None:
        parts.append(flow_run.id)
    try:
        with heeding_sigterm(partial(leave_queue, conductor.world, flow_run.id)):
            folder = Path(base) if base else Path.cwd()
            run = await in_thread(conductor.begin, specification, principal, folder, flow_run.id, parent, is_rollback)
    except errors.Cancelled as asked:
        return cancelled(asked)
    get_run_logger().info("deployment %s holds %s with fence %s", run.deployment, run.environment, run.fence)
    RUNS[run.deployment] = run
    phases = Phases(run.deployment)
    try:
        with heeding_sigterm(partial(interrupt_step, run)):
            await go_forward(run, conductor, phases)
    except BaseException as raised:
        error = await told_to_stop() if isinstance(raised, STOPPED) else raised
        status = await in_thread(conductor.fail, run, error)
        get_run_logger().error("deployment %s ended %s: %s", run.deployment, status, error)
        if status is not DeploymentStatus.COMPLETED:
            await show("report", markdown_report(run, status, error), "What happened")
            if isinstance(raised, errors.Cancelled) and await in_thread(is_cancelled_on_record, run):
                return cancelled(raised)
            if isinstance(raised, errors.ControllerLost):
                return Crashed(message=raised.message, data=raised)
            raise
    finally:
        RUNS.pop(run.deployment, None)
        await in_thread(conductor.leave, run)
        await phases.settle()
    return conductor.outcome(run)


def cancelled(error: errors.Cancelled) -> State[Any]:
    """The run's state; whoever awaits the flow gets the error."""
    return Cancelled(message=error.message, data=error)


def is_cancelled_on_record(run: Run) -> bool:
    """Whether it ended because a person asked, with nothing of it left."""
    return was_cancelled(run.world.records.deployments.get(run.deployment))


async def go_forward(run: Run, conductor: Conductor, phases: Phases) -> None:
    """The five phases in order; an environment that is already as asked ends after the first."""
    await in_thread(conductor.enter, run, DeploymentStatus.VALIDATING)
    await phases.run(validation)
    await show("plan", plan_tables(run), "What is going to happen")
    await in_thread(conductor.enter, run, DeploymentStatus.PREPARING)
    await in_thread(conductor.enter, run, DeploymentStatus.PROVISIONING)
    await phases.run(preparation)
    if not run.plan.is_empty and not run.specification.skip_deploy:
        await in_thread(conductor.enter, run, DeploymentStatus.DEPLOYING)
        await phases.run(deployment_phase)
        await in_thread(conductor.enter, run, DeploymentStatus.TESTING)
        await in_thread(conductor.enter, run, DeploymentStatus.MONITORING)
        await phases.run(testing)
        await phases.run(completion)
    await in_thread(conductor.complete, run)
    await show("report", markdown_report(run, DeploymentStatus.COMPLETED, None), "What happened")
