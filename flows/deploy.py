"""The parent flow: one run of it is one deployment, in five phases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from prefect import flow
from prefect.artifacts import acreate_markdown_artifact
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from pydantic import Field

from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.status import DeploymentStatus
from deployments.driver.conducting import Conductor
from flows.hooks import bring_back
from flows.phases.completion import completion
from flows.phases.deployment import deployment as deployment_phase
from flows.phases.preparation import preparation
from flows.phases.testing import testing
from flows.phases.validation import validation
from flows.reporting import markdown_report, plan_tables
from flows.worlds import world_of_this_process
from tasks.runs import RUNS, in_thread

Principal = Annotated[str | None, Field(description="Who asks; a name that a trigger states is not verified.")]
Base = Annotated[str | None, Field(description="Directory that the paths of the specification are relative to.")]


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
) -> dict[str, Any]:
    """Bring the environment to the specification: completely, or not at all.

    Returns the deployment's id, name and status. Raises what ended it, after everything it had touched is back.
    """
    log = get_run_logger()
    conductor = Conductor(world_of_this_process())
    run = await in_thread(
        conductor.begin,
        specification,
        principal,
        Path(base) if base else Path.cwd(),
        flow_run.id,
        parent,
        is_rollback,
    )
    RUNS[run.deployment] = run
    log.info("deployment %s holds %s with fence %s", run.deployment, run.environment, run.fence)
    try:
        await go_forward(run.deployment, conductor)
    except BaseException as error:
        status = await in_thread(conductor.fail, run, error)
        log.error("deployment %s ended %s: %s", run.deployment, status, error)
        if status is not DeploymentStatus.COMPLETED:
            await acreate_markdown_artifact(
                markdown_report(run, status, error), key="report", description="What happened"
            )
            raise
    finally:
        RUNS.pop(run.deployment, None)
        await in_thread(conductor.leave, run)
    return conductor.outcome(run)


async def go_forward(deployment: str, conductor: Conductor) -> None:
    """The five phases in order; an environment that is already as asked ends after the first."""
    run = RUNS[deployment]
    await in_thread(conductor.enter, run, DeploymentStatus.VALIDATING)
    await validation(deployment)
    await acreate_markdown_artifact(plan_tables(run), key="plan", description="What is going to happen")
    await in_thread(conductor.enter, run, DeploymentStatus.PREPARING)
    await in_thread(conductor.enter, run, DeploymentStatus.PROVISIONING)
    await preparation(deployment)
    if not run.plan.is_empty and not run.specification.skip_deploy:
        await in_thread(conductor.enter, run, DeploymentStatus.DEPLOYING)
        await deployment_phase(deployment)
        await in_thread(conductor.enter, run, DeploymentStatus.TESTING)
        await in_thread(conductor.enter, run, DeploymentStatus.MONITORING)
        await testing(deployment)
        await completion(deployment)
    await in_thread(conductor.complete, run)
    await acreate_markdown_artifact(
        markdown_report(run, DeploymentStatus.COMPLETED, None), key="report", description="What happened"
    )
