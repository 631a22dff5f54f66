"""Waiting for something with a name, up to a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

_POLL_SECONDS = 0.02
T = TypeVar("T")


def holds_within(condition: Callable[[], bool], patience: timedelta) -> bool:
    """Whether the condition came to hold in time; asked at least once, and for the last time at the deadline."""
    return last_within(condition, bool, patience)


def last_within(ask: Callable[[], T], is_enough: Callable[[T], bool], patience: timedelta) -> T:
    """The first answer that is enough, or the last one; asked at least once, and for the last time at the deadline."""
    deadline = time.monotonic() + patience.total_seconds()
    while True:
        is_late = time.monotonic() >= deadline
        answer = ask()
        if is_late or is_enough(answer):
            return answer
        time.sleep(_POLL_SECONDS)
