"""A bare Prefect flow that does nothing: `python -m benchmarks.bare '{"validation": 2, ...}'` runs it, and prints the
id of its run. It has a subflow for each phase and a task for each number, all tasks of a phase at once.
"""

from __future__ import annotations

import asyncio
import json
import sys

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run


@task(cache_policy=NO_CACHE, persist_result=False)
async def nothing(_number: int) -> None:
    """Do nothing."""


@flow(persist_result=False)
async def phase(tasks: int) -> None:
    """So many tasks."""
    await asyncio.gather(*(nothing(number) for number in range(tasks)))


@flow(persist_result=False)
async def bare(phases: dict[str, int]) -> str:
    """One subflow after the other."""
    for name, tasks in phases.items():
        await phase.with_options(name=name)(tasks)
    return str(flow_run.id)


if __name__ == "__main__":
    print(asyncio.run(bare(json.loads(sys.argv[1]))))
