"""Passes through the phases of a deployment: as subflow runs of Prefect, or without it when its server is away.

A subflow run is begun and ended by calls to the server, which Prefect repeats for minutes. No deployment waits for
that: a phase that Prefect does not let begin is done in the parent run instead, and so are those after it; what ends a
phase is known to the parent at once, so that traffic returns before anything is told to Prefect. Prefect's record is
corrected later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from prefect import Flow
from prefect.logging import get_run_logger

MOVES_TRAFFIC = "deployment"
Phase = Flow[[str], Coroutine[Any, Any, None]]
PATIENCE_SECONDS = 15.0
"""For Prefect to let a phase begin, and to take note of how they ended: some 75 ms together when all is well."""
PATIENCE_WITH_TRAFFIC_SECONDS = 2.0
"""Once traffic has moved, nobody looks at the new release before the next phase has begun."""


@dataclass(slots=True)
class Body:
    """The work of a phase, as its parent sees it from outside of Prefect."""

    began: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    error: BaseException | None = None
    is_given_up: bool = False


BODY: ContextVar[Body | None] = ContextVar("body", default=None)
"""Of the subflow run that this task belongs to; None for a phase that is done in the parent run."""


class GivenUp(Exception):
    """Prefect let the phase begin too late: its parent does the work by now."""


@contextmanager
def at_work() -> Iterator[None]:
    """Around the work of a phase, wherever it is done."""
    body = BODY.get() or Body()
    if body.is_given_up:
        raise GivenUp
    body.began.set()
    try:
        yield
    except BaseException as error:
        body.error = error
        raise
    finally:
        body.over.set()


class Phases:
    """The phases of one deployment that this process drives."""

    def __init__(self, deployment: str) -> None:
        self._deployment = deployment
        self._is_away = False
        self._has_moved_traffic = False
        self._subflows: set[asyncio.Task[None]] = set()

    async def run(self, phase: Phase) -> None:
        """To its end; raises what ended it as soon as no step of it is under way."""
        if self._is_away or not await self._run_as_subflow(phase):
            await phase.fn(self._deployment)
        self._has_moved_traffic = self._has_moved_traffic or phase.name == MOVES_TRAFFIC

    async def settle(self) -> None:
        """Give Prefect the time to take note of how the phases ended."""
        if self._subflows and not self._is_away:
            await asyncio.wait(self._subflows, timeout=PATIENCE_SECONDS)
        left = set(self._subflows)
        for subflow in left:
            subflow.cancel()
        if left:
            await asyncio.wait(left, timeout=PATIENCE_WITH_TRAFFIC_SECONDS)

    async def _run_as_subflow(self, phase: Phase) -> bool:
        """False when Prefect did not let it begin, so that nothing was done."""
        body = Body()
        token = BODY.set(body)
        subflow = asyncio.create_task(phase(self._deployment))
        BODY.reset(token)
        self._subflows.add(subflow)
        subflow.add_done_callback(self._forget)
        try:
            await first_of(subflow, body.began, self._patience())
            if not body.began.is_set():
                body.is_given_up = True
                subflow.cancel()
                self._go_on_without(f"did not let the phase {phase.name} begin")
                return False
            await body.over.wait()
            if body.error is not None:
                raise body.error
            return True
        except asyncio.CancelledError:
            subflow.cancel()
            if body.began.is_set():
                await body.over.wait()
            raise

    def _patience(self) -> float:
        return PATIENCE_WITH_TRAFFIC_SECONDS if self._has_moved_traffic else PATIENCE_SECONDS

    def _go_on_without(self, what: str) -> None:
        self._is_away = True
        get_run_logger().warning("Prefect %s; the deployment goes on without it, and is corrected there later.", what)

    def _forget(self, subflow: asyncio.Task[None]) -> None:
        """Its error was raised already, or is Prefect's own."""
        self._subflows.discard(subflow)
        if not subflow.cancelled():
            subflow.exception()


async def first_of(task: asyncio.Task[None], event: asyncio.Event, seconds: float) -> None:
    """Until one of them is there, or the time is over."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({task, waiting}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
