"""The preparation phase: build or fetch every release once, make local resources, routes and configuration."""

from __future__ import annotations

from prefect import flow

from deployments.domain.steps import Phase
from flows.phases.walking import walk


@flow(name="preparation", flow_run_name="preparation of {deployment}", persist_result=False)
async def preparation(deployment: str) -> None:
    """Build or fetch every release once, make local resources, routes and configuration."""
    await walk(deployment, Phase.PREPARATION)
