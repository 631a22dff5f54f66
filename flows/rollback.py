"""Returns an environment to a release that was stable before: a deployment of its own, without canary steps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from deployments.driver.returning import target_of_rollback
from flows.deploy import deploy
from flows.worlds import world_of_this_process
from tasks.runs import in_thread


@flow(name="rollback", flow_run_name="rollback of {environment}", persist_result=False)
async def rollback(
    environment: Annotated[str, Field(description="The environment to return.")],
    to: Annotated[
        str | None, Field(description="A completed deployment; the one before the last unless given.")
    ] = None,
    principal: Annotated[
        str | None, Field(description="Who asks; a name that a trigger states is not verified.")
    ] = None,
) -> dict[str, Any]:
    """Deploy the specification of an earlier completed deployment again. Raises Refused when there is none."""
    target = await in_thread(target_of_rollback, world_of_this_process(), environment, to)
    return await deploy(
        specification=target.specification,
        principal=principal,
        base=str(Path(target.base)),
        parent=target.target.id,
        is_rollback=True,
    )
