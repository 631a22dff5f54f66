"""Work in threads beside the event loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tasks.runs import in_thread


def test_work_that_is_cancelled_is_waited_for() -> None:
    """SIGTERM cancels every task of the process while a step is at it in its thread."""
    asyncio.run(cancel_in_the_middle())


async def cancel_in_the_middle() -> None:
    began, may_end, over = threading.Event(), threading.Event(), threading.Event()

    def step() -> None:
        began.set()
        may_end.wait(30)
        over.set()

    waiting = asyncio.create_task(in_thread(step))
    await asyncio.to_thread(began.wait, 30)
    waiting.cancel()
    await asyncio.sleep(0)
    assert not waiting.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert over.is_set()
