"""The deployment phase: services in dependency order, the independent in parallel; traffic moved by each strategy."""

from __future__ import annotations

from prefect import flow

from deployments.domain.steps import Phase
from flows.phases.walking import walk


@flow(name="deployment", flow_run_name="deployment of {deployment}", persist_result=False)
async def deployment(deployment: str) -> None:
    """Services in dependency order, everything independent in parallel; traffic moved by each strategy."""
    await walk(deployment, Phase.DEPLOYMENT)
