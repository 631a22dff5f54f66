"""The completion phase: the new releases become stable; what is left over is tidied; the report is written."""

from __future__ import annotations

from prefect import flow

from deployments.domain.steps import Phase
from flows.phases.walking import walk


@flow(name="completion", flow_run_name="completion of {deployment}", persist_result=False)
async def completion(deployment: str) -> None:
    """The new releases become stable; what is left over is tidied; the report is written."""
    await walk(deployment, Phase.COMPLETION)
