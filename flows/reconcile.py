"""The scheduled round of the reconciler, for those who run their own control plane."""

from __future__ import annotations

from prefect import flow
from prefect.logging import get_run_logger

from deployments.driver.reconciling import reconcile_all
from flows.worlds import world_of_this_process
from tasks.runs import in_thread


@flow(name="reconcile", persist_result=False)
async def reconcile() -> list[str]:
    """Take up every deployment that nobody drives, and retire what was warm long enough; a line for each."""
    lines = await in_thread(reconcile_all, world_of_this_process())
    for line in lines:
        get_run_logger().info(line)
    return lines
