"""Shows a text in Prefect's UI. A deployment neither fails by it nor waits for it: Prefect's server may be away."""

from __future__ import annotations

import asyncio

from prefect.artifacts import acreate_markdown_artifact
from prefect.logging import get_run_logger

PATIENCE_SECONDS = 5.0


async def show(key: str, markdown: str, description: str) -> None:
    """A markdown artifact of the run, if the server takes it now."""
    try:
        made = acreate_markdown_artifact(markdown, key=key, description=description)
        await asyncio.wait_for(made, PATIENCE_SECONDS)
    except Exception as error:  # noqa: BLE001 - whatever keeps it from being shown, the deployment goes on
        get_run_logger().warning("The %s is not shown: %s: %s", key, type(error).__name__, error)
