"""The meter's readings on disk: one line of JSON a flush, appended, rotated by size."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from deployments.adapters.meter.tally import Row

ROTATE_BYTES = 8 * 1024 * 1024
KEPT_FILES = 4
_BLOCK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Flush:
    """What is written at once, at `written` seconds since the epoch.

    The rest are totals up to then: lines `counted` and requests `answered`, by process id of the worker; what was lost
    of workers that ended since; and `lost` altogether.
    """

    written: float
    rows: Sequence[Row] = ()
    counted: Mapping[str, int] = field(default_factory=dict)
    answered: Mapping[str, int] = field(default_factory=dict)
    lost_by_ended: int = 0
    lost: int = 0


def lock_path(directory: Path) -> Path:
    """Held by the meter for as long as it runs."""
    return directory / "running.lock"


class Journal:
    """Appends flushes, and reads them from the newest back."""

    def __init__(self, directory: Path) -> None:
        """One directory belongs to one meter."""
        self._directory = directory
        self._path = directory / "readings.jsonl"

    def append(self, flush: Flush) -> None:
        """Write one flush. Raises OSError, after which nothing or a torn line is there, which reading skips."""
        text = json.dumps(_to_json(flush), separators=(",", ":"))
        with self._path.open("ab", buffering=0) as file:
            # A line that a kill or a full disk has torn must not swallow this one: blank lines are nothing.
            file.write(f"\n{text}\n".encode())
            size = file.tell()
        if size > ROTATE_BYTES:
            self._rotate()

    def newest_first(self) -> Iterator[Flush]:
        """Every flush that is kept."""
        for path in (self._path, *self._rotated()):
            with suppress(FileNotFoundError):
                yield from (flush for line in _lines_backwards(path) if (flush := _parse(line)))

    def _rotated(self) -> list[Path]:
        return [self._path.with_suffix(f".{number}.jsonl") for number in range(1, KEPT_FILES)]

    def _rotate(self) -> None:
        paths = [self._path, *self._rotated()]
        for newer, older in reversed(list(pairwise(paths))):
            with suppress(FileNotFoundError):
                newer.replace(older)


def _to_json(flush: Flush) -> dict[str, Any]:
    rows = [
        [row.second, row.service, row.revision, row.requests, row.errors, row.statuses, row.latencies, row.longest_ms]
        for row in flush.rows
    ]
    totals = {"counted": flush.counted, "answered": flush.answered}
    losses = {"lost_by_ended": flush.lost_by_ended, "lost": flush.lost}
    return {"written": flush.written, **totals, **losses, "rows": rows}


def _parse(line: bytes) -> Flush | None:
    try:
        value = json.loads(line)
        rows = [_row(*fields) for fields in value["rows"]]
        totals = {name: value[name] for name in ("counted", "answered", "lost_by_ended", "lost")}
        return Flush(written=float(value["written"]), rows=rows, **totals)
    except (ValueError, KeyError, TypeError):
        return None


def _row(
    second: int,
    service: str,
    revision: str,
    requests: int,
    errors: int,
    *rest: Any,
) -> Row:
    statuses, latencies, longest_ms = rest
    return Row(
        second=second,
        service=service,
        revision=revision,
        requests=requests,
        errors=errors,
        statuses=Counter({int(status): count for status, count in statuses.items()}),
        latencies=Counter({int(bucket): count for bucket, count in latencies.items()}),
        longest_ms=longest_ms,
    )


def _lines_backwards(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        position = file.seek(0, 2)
        rest = b""
        while position > 0:
            start = max(0, position - _BLOCK_BYTES)
            file.seek(start)
            lines = (file.read(position - start) + rest).split(b"\n")
            rest, position = lines[0], start
            yield from (line for line in reversed(lines[1:]) if line)
        if rest:
            yield rest
