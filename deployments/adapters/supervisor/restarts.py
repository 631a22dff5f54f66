"""When a process that ended by itself is started again.

An instance that ends before it settled has failed to start: it stays ended, with its code, for whoever waits for it.
One that settled serves people: it is started again for as long as it takes. A service (proxy, meter) always is.
"""

from __future__ import annotations

from datetime import timedelta

LONGEST_DELAY = timedelta(seconds=30)


def decide_restart(*, must_restart: bool, short_lives: int) -> timedelta | None:
    """How long to wait before the next start, None for never.

    `short_lives` counts lives in a row that ended early: the first restart comes at once, then after 1, 2, 4 ... 30 s.
    """
    if not must_restart:
        return None
    if short_lives == 0:
        return timedelta(0)
    return min(timedelta(seconds=2 ** min(short_lives - 1, 10)), LONGEST_DELAY)
