"""How a run is asked to stop by itself, undoing what it did, before anything is signalled."""

from __future__ import annotations

from deployments.adapters.control_plane.runs import ClaimedRun
from deployments.domain.errors import Refused
from deployments.store.commands import CommandKind
from flows.worlds import world_of_this_process

DEPLOYING = "flows.deploy."
"""The flow whose runs open a deployment. A rollback runs it as a subflow, and gets the signal."""


def ask_to_cancel(run: ClaimedRun) -> bool:
    """Order the run's deployment to be cancelled; whether the run will end by itself.

    A run that has opened no deployment has nothing to undo, and one whose deployment is final has nothing left to do:
    for these a signal is enough.
    """
    if not run.entrypoint.startswith(DEPLOYING):
        return False
    records = world_of_this_process().records
    deployment = records.deployments.by_flow_run(str(run.flow_run_id))
    if deployment is None:
        return False
    try:
        records.commands.request(deployment.id, CommandKind.CANCEL, by="prefect", reason="The flow run was cancelled.")
    except Refused:
        return False
    return True
