"""Waits with a deadline and a way out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from deployments.driver.run import Run


def wait_until(run: Run, holds: Callable[[], bool], deadline: timedelta) -> bool:
    """Look until it holds or the deadline passed; returns whether it holds. Raises what the run is interrupted with."""
    clock = run.world.clock
    end = clock.monotonic() + deadline.total_seconds()
    while not holds():
        run.interruption.check()
        if clock.monotonic() >= end:
            return False
        clock.sleep(run.world.poll)
    return True
