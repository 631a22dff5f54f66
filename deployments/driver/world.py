"""Everything a driver step may reach, given as arguments: records, ports, a clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from deployments.domain.ports import Builder, Machine, Meter, Prober, Provisioner, Proxy, Supervisor
from deployments.settings import Timings
from deployments.store.records import Records


class Clock(Protocol):
    """Time, given to the driver so that tests can bend it."""

    def now(self) -> datetime:
        """The present in UTC."""

    def monotonic(self) -> float:
        """Seconds that only grow."""

    def sleep(self, duration: timedelta) -> None:
        """Wait."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The present in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    def sleep(self, duration: timedelta) -> None:
        """Wait for real."""
        time.sleep(max(0.0, duration.total_seconds()))


@dataclass(frozen=True, slots=True)
class World:
    """The outside. `proxy` and `meter` are asked for by environment."""

    records: Records
    proxy: Callable[[str], Proxy]
    meter: Callable[[str], Meter]
    supervisor: Supervisor
    builder: Builder
    provisioner: Provisioner
    prober: Prober
    machine: Machine
    log_directory: Path
    python: str = "python3"
    clock: Clock = field(default_factory=SystemClock)
    timings: Timings = field(default_factory=Timings)
    queue: timedelta = timedelta(minutes=30)
    """How long a deployment waits for its environment."""
    poll: timedelta = timedelta(milliseconds=50)
    """Between two looks at something that is awaited."""
