"""Returns an environment to a release that was stable before: a deployment of its own, without canary steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Cancelled, Crashed
from pydantic import Field

from deployments.domain import errors
from deployments.driver.returning import target_of_rollback
from flows.deploy import PARTS, Principal, deploy
from flows.ends import state_for
from flows.hooks import bring_back
from flows.worlds import world_of_this_process
from tasks.runs import in_thread

Environment = Annotated[str, Field(description="The environment to return.")]
Target = Annotated[str | None, Field(description="A completed deployment; the stable state before the present one.")]


@flow(
    name="rollback",
    flow_run_name="rollback of {environment}",
    on_failure=[bring_back],
    on_crashed=[bring_back],
    on_cancellation=[bring_back],
    persist_result=False,
)
async def rollback(
    environment: Environment,
    to: Target = None,
    principal: Principal = None,
) -> dict[str, Any] | State[Any]:
    """Deploy the specification of an earlier completed deployment again. Raises Refused when there is none.

    Cancelled and taken back, it is Cancelled in Prefect, as the run that it awaited is; told to stop, it is Crashed.
    """
    target = await in_thread(target_of_rollback, world_of_this_process(), environment, to)
    parts: list[str] = []
    PARTS.set(parts)
    try:
        state: State[Any] = await deploy(
            specification=target.specification,
            principal=principal,
            base=str(Path(target.base)),
            parent=target.target.id,
            is_rollback=True,
            return_state=True,
        )
        if state.is_failed():
            await state.aresult()  # raises what ended it, or what kept Prefect from taking note of its end
    except errors.DeploymentError:
        raise
    except Exception as error:
        end = await in_thread(end_of, parts)
        if end is None:
            raise
        get_run_logger().warning("Prefect took no note of the end of the deployment: %r", error)
        return end
    if state.is_cancelled():
        return Cancelled(message=state.message)
    if state.is_crashed():
        return Crashed(message=state.message)
    outcome: dict[str, Any] = await state.aresult()
    return outcome


def end_of(parts: Sequence[str]) -> State[Any] | None:
    """By our record, where Prefect did not answer when the deployment ended; None for one that is not over."""
    records = world_of_this_process().records
    found = [record for part in parts if (record := records.deployments.by_flow_run(part)) is not None]
    if not found or not found[-1].is_final:
        return None
    name, status = found[-1].name, found[-1].status.value.replace("_", " ")
    return State(type=state_for(found[-1]), message=f"Prefect did not answer when {name} ended: {status}.")
