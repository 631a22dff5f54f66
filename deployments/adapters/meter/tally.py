"""Counting log lines, many at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from deployments.adapters.meter.histogram import bucket_of

SUCCESSOR = "_successor"
"""The server by which a worker that a reload replaced sends a request to the new worker, which logs it as well."""

_SWITCHED_PROTOCOLS = 101


@dataclass(slots=True)
class Row:
    """What one revision of one service answered in one second. `latencies` counts by bucket of `histogram`."""

    second: int
    service: str
    revision: str
    requests: int = 0
    errors: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: Counter[int] = field(default_factory=Counter)
    longest_ms: int = 0


class Tally:
    """Adds lines up until they are forgotten. `revision_of` names the revision of an instance, or ""."""

    def __init__(self, revision_of: Callable[[str], str], *, counted: Mapping[str, int]) -> None:
        """`counted` are the lines of each worker, by process id, that a meter before this one saw."""
        self._revision_of = revision_of
        self._rows: dict[tuple[int, str, str], Row] = {}
        self.counted: Counter[str] = Counter(counted)

    @property
    def rows(self) -> list[Row]:
        """What was counted and not forgotten. Rows of one second add up, whenever they were taken."""
        return list(self._rows.values())

    def forget_rows(self) -> None:
        """Begin anew, once the rows are on disk."""
        self._rows = {}

    def add(self, lines: Iterable[bytes]) -> None:
        """Count lines of the form `SECOND PID SERVICE SERVER STATUS MILLISECONDS TERMINATION`.

        Requests that end in the same millisecond look the same, so equal lines are counted first, and read once.
        """
        for line, count in Counter(lines).items():
            words = line.decode(errors="replace").split()
            if len(words) == 7 and words[0].isdigit():
                self._add(words, count)

    def _add(self, words: list[str], count: int) -> None:
        second, process, service, server, status_text, milliseconds, termination = words
        self.counted[process] += count
        if server == SUCCESSOR:
            return
        revision = "" if server.startswith("<") else self._revision_of(server)
        key = (int(second), service, revision)
        row = self._rows.get(key) or self._rows.setdefault(key, Row(*key))
        status = _number(status_text)
        row.requests += count
        row.statuses[status] += count
        if is_error(status, termination):
            row.errors += count
        if status != _SWITCHED_PROTOCOLS:  # a tunnel lasts as long as people talk
            latency = _number(milliseconds)
            row.latencies[bucket_of(latency)] += count
            row.longest_ms = max(row.longest_ms, latency)


def is_error(status: int, termination: str) -> bool:
    """Whether the service failed: a status of 500 and above, or an instance that broke off or fell silent midway.

    `termination` is HAProxy's: its first letter says who ended the session. A client that goes away is no error.
    """
    return status >= 500 or (termination[:1] in "Ss" and status != _SWITCHED_PROTOCOLS)


def _number(text: str) -> int:
    """HAProxy writes -1 for what did not happen, and + before what still goes on."""
    try:
        return max(0, int(text))
    except ValueError:
        return 0
