"""When a process that ended is started again."""

from __future__ import annotations

import pytest

from deployments.adapters.supervisor.restarts import decide_restart


def test_what_failed_to_start_stays_ended() -> None:
    assert decide_restart(must_restart=False, short_lives=1) is None


@pytest.mark.parametrize(("short_lives", "seconds"), [(0, 0), (1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (500, 30)])
def test_the_first_restart_comes_at_once_and_later_ones_wait_longer(short_lives: int, seconds: int) -> None:
    delay = decide_restart(must_restart=True, short_lives=short_lives)
    assert delay is not None
    assert delay.total_seconds() == seconds
