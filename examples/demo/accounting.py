"""One line per request, and what the lines add up to. A request that was sent has a line, or is known to be missing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

NOT_TOLD = "not told by the answer"


@dataclass(frozen=True, slots=True)
class Line:
    """One request. `number` counts the requests sent, without gaps; times are seconds since 1970."""

    number: int
    sent: float
    done: float
    visit: str
    way: str
    """`kept`, `new` or `slow`: the connection it came on."""
    status: int | None
    """None when no complete answer came."""
    release: str | None
    """Who answered, where the answer tells."""
    problem: str | None = None
    """What is wrong with the answer; None for a good one."""
    blamed: str | None = None
    """The release that is proven to have caused the problem."""


@dataclass(frozen=True, slots=True)
class Books:
    """What all lines add up to."""

    sent: int
    lines: tuple[Line, ...]
    by_release: dict[str, int] = field(default_factory=dict)
    by_way: dict[str, int] = field(default_factory=dict)

    @property
    def failed(self) -> list[Line]:
        """Every request without a good answer."""
        return [line for line in self.lines if line.problem]

    def failed_because_of(self, release: str) -> list[Line]:
        """Those that this release is proven to have caused."""
        return [line for line in self.failed if line.blamed == release]

    def unexplained(self, bad_release: str) -> list[Line]:
        """Those that the bad release did not cause. None is the promise."""
        return [line for line in self.failed if line.blamed != bad_release]

    @property
    def missing(self) -> int:
        """Requests that were sent and have no line: the load was ended before it knew."""
        return self.sent - len(self.lines)

    def last_sent_to(self, release: str) -> float | None:
        """When the last request that this release answered was sent, seconds since 1970; None when there was none."""
        times = [line.sent for line in self.lines if release in (line.release, line.blamed)]
        return max(times, default=None)


def add_up(lines: Iterable[Line], sent: int) -> Books:
    """The books of these lines."""
    kept = tuple(sorted(lines, key=lambda line: line.number))
    releases = Counter(line.blamed or line.release or NOT_TOLD for line in kept)
    ways = Counter(line.way for line in kept)
    return Books(sent, kept, dict(sorted(releases.items())), dict(sorted(ways.items())))


def write_line(line: Line) -> str:
    """As it is kept."""
    return json.dumps(asdict(line), separators=(",", ":"))


def read_books(file: Path, sent: int) -> Books:
    """Lines from the file; a line that was cut short by a kill counts as missing."""
    return add_up(read_lines(file.read_text().splitlines()), sent)


def read_lines(texts: Sequence[str]) -> Iterable[Line]:
    """Each whole line."""
    for number, text in enumerate(texts):
        try:
            yield Line(**json.loads(text))
        except ValueError:
            if number != len(texts) - 1:
                raise
