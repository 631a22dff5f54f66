"""Returns an environment to a release that was stable before: a deployment of its own, without canary steps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Cancelled
from pydantic import Field

from deployments.driver.returning import target_of_rollback
from flows.deploy import Principal, deploy
from flows.worlds import world_of_this_process
from tasks.runs import in_thread

Environment = Annotated[str, Field(description="The environment to return.")]
Target = Annotated[str | None, Field(description="A completed deployment; the stable state before the present one.")]


@flow(name="rollback", flow_run_name="rollback of {environment}", persist_result=False)
async def rollback(
    environment: Environment,
    to: Target = None,
    principal: Principal = None,
) -> dict[str, Any] | State[Any]:
    """Deploy the specification of an earlier completed deployment again. Raises Refused when there is none.

    Cancelled and taken back, it is Cancelled in Prefect, as the run that it awaited is.
    """
    target = await in_thread(target_of_rollback, world_of_this_process(), environment, to)
    state: State[Any] = await deploy(
        specification=target.specification,
        principal=principal,
        base=str(Path(target.base)),
        parent=target.target.id,
        is_rollback=True,
        return_state=True,
    )
    if state.is_cancelled():
        return Cancelled(message=state.message)
    outcome: dict[str, Any] = await state.aresult()
    return outcome
