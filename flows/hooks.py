"""Flow-level state hooks: they call the driver's recovery, which finishes what is left or finds nothing to do.

A hook may run in the flow's process, in a new one, several times or not at all; the reconciler does the same work
where it did not run. Argument names are fixed: a worker calls hooks by keyword.
"""

from __future__ import annotations

from typing import Any

from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.logging.loggers import flow_run_logger

from deployments.driver.reconciling import bring_back_flow_run
from flows.parts import deployment_of
from flows.worlds import world_of_this_process
from tasks.runs import in_thread


async def bring_back(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Drive the deployment of the run to its end, unless it has ended or somebody else drives it."""
    log = flow_run_logger(flow_run, flow)  # not get_run_logger: a worker calls hooks outside every run
    world = await in_thread(world_of_this_process)
    async with get_client() as client:
        record = await deployment_of(client, world.records, flow_run.id)
    opener = record.flow_run if record is not None and record.flow_run else str(flow_run.id)
    line = await in_thread(bring_back_flow_run, world, opener, state.type.value)
    log.info("after %s: %s", state.name, line)
