"""Finds the deployment of a run: a rollback opens it in the `deploy` run that is a part of it."""

from __future__ import annotations

from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
)
from prefect.client.schemas.objects import FlowRun

from deployments.domain.entities import Deployment
from deployments.store.records import Records
from tasks.runs import in_thread


async def deployment_of(client: PrefectClient, records: Records, flow_run_id: UUID) -> Deployment | None:
    """Of the run, or of a part of it; Prefect is asked only for a run that opened none itself."""
    found = await in_thread(records.deployments.by_flow_run, str(flow_run_id))
    if found is not None:
        return found
    for part in await parts_of(client, flow_run_id):
        if (opened := await in_thread(records.deployments.by_flow_run, str(part.id))) is not None:
            return opened
    return None


async def parts_of(client: PrefectClient, flow_run_id: UUID) -> list[FlowRun]:
    """The `deploy` runs that it awaited."""
    parts = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[flow_run_id]))
    return await client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=["deploy"])), flow_run_filter=parts
    )
