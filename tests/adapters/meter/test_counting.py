"""From log lines to readings, without a process."""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deployments.adapters.meter import journal as journal_module
from deployments.adapters.meter.histogram import BOUNDS_MS, bucket_of, summarise
from deployments.adapters.meter.journal import Flush, Journal
from deployments.adapters.meter.reader import ProxyMeter
from deployments.adapters.meter.tally import Row, Tally, is_error


def tally() -> Tally:
    revisions = {"web-1": "r1", "web-2": "r2"}
    return Tally(lambda instance: revisions.get(instance, ""), counted={})


def flush(second: int, requests: int = 1, lost: int = 0) -> Flush:
    row = Row(second, "web", "r1", requests, statuses=Counter({200: requests}), latencies=Counter({3: requests}))
    return Flush(written=float(second), rows=[row], lost=lost)


def journal(state: Path) -> Journal:
    directory = state / "meter" / "production"
    directory.mkdir(parents=True, exist_ok=True)
    return Journal(directory)


def at(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def test_lines_are_counted_by_second_service_and_revision() -> None:
    counting = tally()
    counting.add([b"100 7 web web-1 200 12 --", b"100 7 web web-1 200 12 --", b"100 7 web web-2 500 3 --"])
    counting.add([b"101 7 api <NOSRV> 503 0 SC", b"", b"nonsense"])
    first, second, third = counting.rows
    assert (first.requests, first.errors, first.statuses, first.longest_ms) == (2, 0, {200: 2}, 12)
    assert (second.revision, second.requests, second.errors) == ("r2", 1, 1)
    assert (third.service, third.revision, third.errors) == ("api", "", 1)
    assert counting.counted == {"7": 4}


def test_a_request_that_a_replaced_worker_passed_on_is_counted_once() -> None:
    counting = tally()
    counting.add([b"100 7 web _successor 200 12 --", b"100 8 web web-1 200 12 --"])
    assert [row.requests for row in counting.rows] == [1]
    assert counting.counted == {"7": 1, "8": 1}


@pytest.mark.parametrize(
    ("status", "termination", "expected"),
    [
        pytest.param(200, "--", False, id="an answer"),
        pytest.param(404, "--", False, id="what the client got wrong"),
        pytest.param(500, "--", True, id="the service says so"),
        pytest.param(503, "SC", True, id="nobody there"),
        pytest.param(200, "SD", True, id="an answer that broke off"),
        pytest.param(200, "sD", True, id="an answer that stopped"),
        pytest.param(200, "CD", False, id="a client that left"),
        pytest.param(0, "CR", False, id="a client that left before it had asked"),
        pytest.param(101, "SD", False, id="a tunnel that the service closed"),
        pytest.param(503, "LR", True, id="held for too long"),
    ],
)
def test_an_error_is_what_the_service_did_wrong(status: int, termination: str, expected: bool) -> None:
    assert is_error(status, termination) is expected


def test_a_tunnel_has_no_latency() -> None:
    counting = tally()
    counting.add([b"100 7 web web-1 101 86400000 --"])
    assert counting.rows[0].requests == 1
    assert counting.rows[0].latencies == {}


def test_buckets_grow_by_a_seventh_at_most_and_take_everything() -> None:
    assert all(upper <= lower + max(1, lower // 7) for lower, upper in itertools.pairwise(BOUNDS_MS))
    for milliseconds in (0, 1, 2, 99, 1234, 10**9):
        bound = BOUNDS_MS[bucket_of(milliseconds)]
        assert bound >= milliseconds or bound == BOUNDS_MS[-1]


def test_percentiles_are_upper_bounds_of_their_buckets() -> None:
    latencies = [*[10] * 90, *[100] * 9, 1000]
    buckets = Counter(bucket_of(latency) for latency in latencies)
    summary = summarise(buckets, longest_ms=1000)
    assert summary["p50"] == summary["p90"] == BOUNDS_MS[bucket_of(10)]
    assert summary["p95"] == summary["p99"] == BOUNDS_MS[bucket_of(100)]
    assert summary["max"] == 1000
    assert summarise({}, longest_ms=0) == {"p50": 0, "p90": 0, "p95": 0, "p99": 0, "max": 0}


def test_readings_begin_with_the_second_asked_for(tmp_path: Path) -> None:
    for second in (100, 101, 102):
        journal(tmp_path).append(flush(second, requests=second))
    report = ProxyMeter("production", tmp_path).read(since=at(101))
    assert [(reading.requests, reading.statuses) for reading in report.readings] == [(203, {200: 203})]
    assert not report.is_running


def test_losses_are_those_since_the_moment_asked_for(tmp_path: Path) -> None:
    for second, lost in ((100, 5), (101, 5), (102, 9)):
        journal(tmp_path).append(flush(second, lost=lost))
    meter = ProxyMeter("production", tmp_path)
    assert [meter.read(since=at(second)).lost for second in (50, 102, 103)] == [9, 4, 0]


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    journal(tmp_path).append(flush(100))
    with (tmp_path / "meter" / "production" / "readings.jsonl").open("a") as file:
        file.write('{"written": 100.5, "rows": [[10')
    journal(tmp_path).append(flush(101))
    assert [reading.requests for reading in ProxyMeter("production", tmp_path).read(since=at(100)).readings] == [2]


def test_old_files_are_read_and_the_oldest_are_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "ROTATE_BYTES", 300)
    monkeypatch.setattr(journal_module, "_BLOCK_BYTES", 64)
    for second in range(100, 150):
        journal(tmp_path).append(flush(second))
    files = list((tmp_path / "meter" / "production").glob("readings*"))
    kept = [flush.written for flush in journal(tmp_path).newest_first()]
    assert len(files) == journal_module.KEPT_FILES
    assert kept == sorted(kept, reverse=True)
    assert kept[0] == 149
    assert len(kept) < 50


def test_a_meter_that_never_ran_has_counted_nothing(tmp_path: Path) -> None:
    report = ProxyMeter("production", tmp_path).read(since=at(0))
    assert (report.readings, report.lost, report.is_running) == ((), 0, False)
