"""The runs this process holds, by deployment. Tasks take names as parameters: a run itself cannot be sent anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from deployments.driver.run import Run

Result = TypeVar("Result")
RUNS: dict[str, Run] = {}
THREADS = ThreadPoolExecutor(max_workers=64, thread_name_prefix="step")
"""Steps wait most of their time; as many as this go on at once."""


def held(deployment: str) -> Run:
    """The run that this process drives. Raises KeyError for one it does not."""
    return RUNS[deployment]


async def in_thread(work: Callable[..., Result], *arguments: object) -> Result:
    """Do blocking work beside the event loop.

    A thread cannot be cancelled. Prefect cancels every task of a process that gets SIGTERM, while the step in this
    thread is still at it: what waits for it goes on only when it is over, so that nothing is taken back beside it.
    """
    future = asyncio.get_running_loop().run_in_executor(THREADS, lambda: work(*arguments))
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait({future})
        raise
