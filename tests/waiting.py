"""Waiting in tests: until something holds, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_SECONDS = 60.0


def until(condition: Callable[[], object], what: str, *, patience: float = PATIENCE_SECONDS) -> None:
    """Return as soon as the condition holds; raise AssertionError naming what was waited for."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"waited {patience:.0f} s for {what}"
        time.sleep(0.01)
