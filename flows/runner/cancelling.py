"""How a run is asked to stop by itself, undoing what it did, before anything is signalled."""

from __future__ import annotations

import asyncio

from prefect.client.orchestration import get_client

from deployments.adapters.control_plane.runs import ClaimedRun
from deployments.domain.entities import Deployment
from deployments.domain.errors import Refused
from deployments.store.commands import CommandKind
from deployments.store.records import Records
from flows.parts import deployment_of
from flows.worlds import world_of_this_process

DEPLOYING = ("flows.deploy.", "flows.rollback.")
"""The flows whose runs open a deployment."""


def ask_to_cancel(run: ClaimedRun) -> bool:
    """Order the run's deployment to be cancelled; whether the run will end by itself.

    A run that has opened no deployment has nothing to undo, and one whose deployment is final has nothing left to do:
    for these a signal is enough.
    """
    if not run.entrypoint.startswith(DEPLOYING):
        return False
    records = world_of_this_process().records
    deployment = asyncio.run(_deployment_of(run, records))
    if deployment is None:
        return False
    try:
        records.commands.request(deployment.id, CommandKind.CANCEL, by="prefect", reason="The flow run was cancelled.")
    except Refused:
        return False
    return True


async def _deployment_of(run: ClaimedRun, records: Records) -> Deployment | None:
    async with get_client() as client:
        return await deployment_of(client, records, run.flow_run_id)
