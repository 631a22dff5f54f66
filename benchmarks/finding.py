"""What one benchmark found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bar:
    """A promise with a number, and what was measured."""

    promise: str
    measured: float
    limit: float
    unit: str
    """Written behind both numbers: `s`, `%`, `requests`."""

    @property
    def is_held(self) -> bool:
        """Whether the promise was kept."""
        return self.measured <= self.limit


@dataclass(frozen=True, slots=True)
class Finding:
    """A table, how it came about, and the promises it is held against."""

    letter: str
    title: str
    conditions: Sequence[str]
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    bars: Sequence[Bar] = ()

    @property
    def is_good(self) -> bool:
        """Whether every promise was kept, and something was measured."""
        return bool(self.rows) and all(bar.is_held for bar in self.bars)


def failed(letter: str, title: str, error: BaseException) -> Finding:
    """In place of a finding: why there is none."""
    words = " ".join(f"{type(error).__name__}: {error}".split())
    return Finding(letter, title, (f"**Not measured.** {words[:600]}",), (), ())
