"""The testing phase: checks on the public routes; then the bake, with the old releases warm."""

from __future__ import annotations

from prefect import flow

from deployments.domain.steps import Phase
from flows.phases.walking import walk


@flow(name="testing", flow_run_name="testing of {deployment}", persist_result=False)
async def testing(deployment: str) -> None:
    """Checks on the public routes; then the bake, with the old releases warm."""
    await walk(deployment, Phase.TESTING)
