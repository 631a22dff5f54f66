"""Walks the steps of a phase: each as soon as those before it are done, everything independent at the same time."""

from __future__ import annotations

import asyncio

from deployments.domain.plan import ready_steps
from deployments.domain.steps import Phase, Step
from flows.phases.passing import at_work
from tasks.runs import held
from tasks.steps import TASKS


async def walk(deployment: str, phase: Phase) -> None:
    """Perform every step of the phase. At the first failure no step is begun any more; those under way are awaited."""
    with at_work():
        await perform_all(deployment, phase)


async def perform_all(deployment: str, phase: Phase) -> None:
    """In the order of the plan."""
    run = held(deployment)
    steps = run.plan.of_phase(phase)
    done = {step.key for step in steps if step.key in run.receipts}
    started = set(done)
    under_way: dict[asyncio.Task[None], str] = {}
    try:
        while len(done) < len(steps):
            for step in ready_steps(steps, done, started):
                started.add(step.key)
                under_way[asyncio.create_task(perform(deployment, step))] = step.key
            finished, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for task in finished:
                key = under_way.pop(task)
                task.result()
                done.add(key)
    finally:
        if under_way:
            run.stop_waiting()
            await asyncio.gather(*under_way, return_exceptions=True)


async def perform(deployment: str, step: Step) -> None:
    """One step as its Prefect task."""
    await TASKS[type(step.action)](deployment, step.key)
