"""What the meter knows it missed, worker by worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from deployments.adapters.haproxy.runtime import CURRENT, Processes, Runtime
from deployments.adapters.meter.losses import Losses
from deployments.domain.errors import ProxyUnavailable


class TwoWorkers(Runtime):
    """Answers as HAProxy does: the current worker 20 answered `current`, and 10 answered `old` until it `has_ended`."""

    def __init__(self) -> None:
        self.current, self.old = 0, 0
        self.has_ended = self.is_away = False

    def processes(self) -> Processes:
        if self.is_away:
            raise ProxyUnavailable
        return Processes(master=1, old_workers=() if self.has_ended else ("@!10",))

    def ask(self, command: str, *, worker: str = CURRENT) -> str:
        return f"Name: HAProxy\nPid: {20 if worker == CURRENT else 10}\n"

    def statistics(self, kind: int, *, worker: str = CURRENT) -> Iterator[dict[str, str]]:
        answers = self.current if worker == CURRENT else self.old
        names = ("hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other")
        nothing = dict.fromkeys(names, "0")
        yield {"pxname": "web.public", **nothing, "hrsp_2xx": str(answers)}
        yield {"pxname": "web.preview", **nothing, "hrsp_2xx": "99"}


@pytest.fixture
def proxy() -> TwoWorkers:
    return TwoWorkers()


def test_counters_count_once_their_lines_have_had_time_to_arrive(proxy: TwoWorkers) -> None:
    losses = Losses(proxy, Counter({"20": 3}), answered={}, lost_by_ended=0)
    proxy.current = 5
    losses.look()
    assert losses.total() == 0
    losses.look()
    assert losses.total() == 2


def test_a_late_line_is_not_lost_any_more(proxy: TwoWorkers) -> None:
    counted = Counter({"20": 3})
    losses = Losses(proxy, counted, answered={"20": 5}, lost_by_ended=0)
    counted["20"] += 2
    assert losses.total() == 0


def test_what_a_worker_lost_outlives_it_and_its_counters_do_not(proxy: TwoWorkers) -> None:
    counted = Counter({"10": 6, "20": 1})
    losses = Losses(proxy, counted, answered={}, lost_by_ended=4)
    proxy.old, proxy.current = 9, 1
    for _ in range(2):
        losses.look()
    proxy.has_ended = True
    for _ in range(3):
        losses.look()
    assert losses.total() == 7
    assert losses.answered == {"20": 1}
    assert counted == {"20": 1}


def test_a_proxy_that_is_away_changes_nothing(proxy: TwoWorkers) -> None:
    losses = Losses(proxy, Counter({"20": 1}), answered={"20": 3}, lost_by_ended=0)
    proxy.is_away = True
    for _ in range(3):
        losses.look()
    assert losses.total() == 2
