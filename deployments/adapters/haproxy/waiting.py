"""Waiting for something with a name, up to a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

_POLL_SECONDS = 0.02


def holds_within(condition: Callable[[], bool], patience: timedelta) -> bool:
    """Whether the condition came to hold in time; asked at least once, and for the last time at the deadline."""
    deadline = time.monotonic() + patience.total_seconds()
    while True:
        is_late = time.monotonic() >= deadline
        if condition():
            return True
        if is_late:
            return False
        time.sleep(_POLL_SECONDS)
