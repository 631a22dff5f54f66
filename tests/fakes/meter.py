"""A meter that reports what a test says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from deployments.domain.ports import MeterReading, MeterReport

_NO_LATENCY: Mapping[str, float] = {"p50": 0.0, "p90": 0.0, "p95": 0.0, "p99": 0.0, "max": 0.0}


class FakeMeter:
    """Readings are recorded with a moment and summed from `since` on, per service and revision."""

    def __init__(self) -> None:
        """A running meter that has counted nothing."""
        self.lost = 0
        self.is_running = True
        self._recorded: list[tuple[datetime, MeterReading]] = []

    def record(
        self,
        service: str,
        revision: str,
        *,
        requests: int,
        errors: int = 0,
        latency_ms: Mapping[str, float] = _NO_LATENCY,
        at: datetime | None = None,
    ) -> None:
        """Count requests; `errors` of them were answered 500."""
        statuses = {status: count for status, count in ((200, requests - errors), (500, errors)) if count}
        reading = MeterReading(
            service=service,
            revision=revision,
            requests=requests,
            errors=errors,
            statuses=statuses,
            latency_ms={**_NO_LATENCY, **latency_ms},
        )
        self._recorded.append((at or datetime.now(UTC), reading))

    def read(self, *, since: datetime) -> MeterReport:
        first_second = since.replace(microsecond=0)
        merged: dict[tuple[str, str], MeterReading] = {}
        for at, reading in self._recorded:
            if at >= first_second:
                key = (reading.service, reading.revision)
                merged[key] = _add(merged[key], reading) if key in merged else reading
        readings = tuple(merged[key] for key in sorted(merged))
        return MeterReport(readings=readings, lost=self.lost, is_running=self.is_running)


def _add(one: MeterReading, other: MeterReading) -> MeterReading:
    keys = one.statuses.keys() | other.statuses.keys()
    return MeterReading(
        service=one.service,
        revision=one.revision,
        requests=one.requests + other.requests,
        errors=one.errors + other.errors,
        statuses={key: one.statuses.get(key, 0) + other.statuses.get(key, 0) for key in sorted(keys)},
        latency_ms={key: max(one.latency_ms[key], other.latency_ms[key]) for key in _NO_LATENCY},
    )
