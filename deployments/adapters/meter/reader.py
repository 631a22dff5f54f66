"""Reading what the meter counted: `deployments.domain.ports.Meter`."""

from __future__ import annotations

import fcntl
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from deployments.adapters.meter.histogram import summarise
from deployments.adapters.meter.journal import Journal, lock_path
from deployments.adapters.meter.tally import Row
from deployments.domain.ports import MeterReading, MeterReport


class ProxyMeter:
    """The meter of one environment's proxy. Reads files only, so it also answers while the meter is down."""

    def __init__(self, environment: str, state_directory: Path) -> None:
        """`state_directory` is the one which `HAProxy` was given."""
        self._directory = state_directory / "meter" / environment

    def read(self, *, since: datetime) -> MeterReport:
        """What was counted from this second on, up to half a second ago.

        The revision "" is for requests that reached no instance.
        """
        first_second = int(since.timestamp())
        merged: dict[tuple[str, str], Row] = {}
        lost_now, lost_before = None, 0
        for flush in Journal(self._directory).newest_first():
            lost_now = flush.lost if lost_now is None else lost_now
            if flush.written < first_second:
                lost_before = flush.lost
                break
            _merge(merged, (row for row in flush.rows if row.second >= first_second))
        readings = tuple(_reading(merged[key]) for key in sorted(merged))
        return MeterReport(readings, lost=max(0, (lost_now or 0) - lost_before), is_running=self._is_running())

    def _is_running(self) -> bool:
        """The meter holds a lock for as long as it lives, so this needs no clock and no heartbeat."""
        try:
            with lock_path(self._directory).open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False


def _merge(merged: dict[tuple[str, str], Row], rows: Iterable[Row]) -> None:
    for row in rows:
        total = merged.setdefault((row.service, row.revision), Row(row.second, row.service, row.revision))
        total.requests += row.requests
        total.errors += row.errors
        total.statuses.update(row.statuses)
        total.latencies.update(row.latencies)
        total.longest_ms = max(total.longest_ms, row.longest_ms)


def _reading(row: Row) -> MeterReading:
    return MeterReading(
        service=row.service,
        revision=row.revision,
        requests=row.requests,
        errors=row.errors,
        statuses=dict(sorted(row.statuses.items())),
        latency_ms=summarise(row.latencies, longest_ms=row.longest_ms),
    )
