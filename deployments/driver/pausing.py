"""What failed lately and is left alone for a while, ever longer: remembered by this process only."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, TypeVar

LONGEST = timedelta(minutes=5)
FORGOTTEN_AFTER = timedelta(minutes=15)
"""Without another attempt: the next one is a first one again."""
Thing = TypeVar("Thing", bound=Hashable)


@dataclass(frozen=True, slots=True)
class _Pause:
    attempts: int
    began: float

    @property
    def ends(self) -> float:
        """After 1, 2, 4 ... seconds, up to the longest pause."""
        return self.began + min(2.0 ** min(self.attempts - 1, 20), LONGEST.total_seconds())


@dataclass(slots=True)
class Pauses(Generic[Thing]):
    """By environment and thing. `now` is on a monotonic clock."""

    _kept: dict[tuple[str, Thing], _Pause] = field(default_factory=dict)

    def note(self, environment: str, thing: Thing, *, now: float) -> None:
        """It was tried, and is left alone for longer than the last time."""
        before = self._kept.get((environment, thing))
        self._kept[environment, thing] = _Pause(before.attempts + 1 if before else 1, now)

    def resting(self, environment: str, *, now: float) -> frozenset[Thing]:
        """What is left alone now."""
        found = {key: pause for key, pause in list(self._kept.items()) if key[0] == environment}
        for key, pause in found.items():
            if now - pause.began > FORGOTTEN_AFTER.total_seconds():
                self._kept.pop(key, None)
        return frozenset(thing for (_, thing), pause in found.items() if now < pause.ends)
