"""The scheduled round of the reconciler, for those who run their own control plane."""

from __future__ import annotations

import os

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.logging import get_run_logger

from deployments.adapters.control_plane.runs import ClaimedRuns
from deployments.driver.reconciling import reconcile_all
from deployments.settings import Settings
from flows.correcting import Corrector
from flows.worlds import world_of_this_process
from tasks.runs import in_thread


@flow(name="reconcile", persist_result=False)
async def reconcile() -> list[str]:
    """Take up every deployment that nobody drives, retire what was warm long enough, and correct Prefect's record of
    runs that are over; a line for each."""
    world = world_of_this_process()
    lines = await in_thread(reconcile_all, world)
    claims = ClaimedRuns(Settings.read(os.environ).home / "control" / "runs")
    async with get_client() as client:
        lines += await Corrector(client, world.records, claims).correct()
    for line in lines:
        get_run_logger().info(line)
    return lines
