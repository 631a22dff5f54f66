"""Kills a controller at one named boundary of what it writes, from outside of the product: the records it is given are
wrapped, and the wrapper sends SIGKILL to its own process.

A boundary is named by what is written there: `before intent of start:api-1`, `after effect of stable`, `after the move
to deploying`. The names are the same in every run of one kind of deployment, so that a row can be run again.
"""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from deployments.driver.world import World

INSTANCE = re.compile(r"\b(\w+)-[a-z0-9]{8}-(\d+)\b")
ONCE = ("after the lease was taken",)
"""How often a lease is taken again depends on how busy the machine is."""
POINTS = ("before intent", "after intent", "after effect", "after receipt")


class Reaper:
    """Notes every boundary that is passed, and kills the process at the one it was told."""

    def __init__(self, kill_at: str | None = None) -> None:
        """None: nobody is killed."""
        self.kill_at = kill_at
        self.passed: list[str] = []
        self._met: Counter[str] = Counter()

    def at(self, boundary: str) -> None:
        """The process is here."""
        name = INSTANCE.sub(r"\1-\2", boundary)
        self._met[name] += 1
        if self._met[name] > 1 and name in ONCE:
            return
        if self._met[name] > 1:
            name = f"{name} ({self._met[name]})"
        self.passed.append(name)
        if name == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, before: str | None, after: str | None, write: Callable[..., Any]) -> Callable[..., Any]:
        """The write with its two boundaries."""

        def watched(*arguments: Any, **named: Any) -> Any:
            what = named_in(write.__name__, arguments)
            if before:
                self.at(before.format(what))
            result = write(*arguments, **named)
            if after:
                self.at(after.format(what))
            return result

        return watched


def named_in(write: str, arguments: tuple[Any, ...]) -> str:
    """What a write is about: the key of a step, or the state that is moved to."""
    return str(arguments[2]) if write in ("intend", "receipt", "advance") else ""


WRITES: dict[str, dict[str, tuple[str | None, str | None]]] = {
    "journal": {
        "intend": ("before intent of {}", "after intent of {}"),
        "receipt": ("after effect of {}", "after receipt of {}"),
    },
    "deployments": {
        "open": (None, "after the record was opened"),
        "advance": ("before the move to {}", "after the move to {}"),
        "save_plan": ("before the plan was kept", "after the plan was kept"),
        "fail_and_plan_undo": ("before the failure and its undo were kept", "after the failure and its undo were kept"),
    },
    "stables": {"mark": ("before the releases were stable", "after the releases were stable")},
    "leases": {
        "acquire": (None, "after the lease was taken"),
        "release": ("before the lease was given back", "after the lease was given back"),
    },
}
"""By repository and method: the boundaries before and after it."""


class Watched:
    """A repository whose writes pass the reaper."""

    def __init__(self, inner: object, kind: str, reaper: Reaper) -> None:
        self._inner, self._kind, self._reaper = inner, kind, reaper

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        around = WRITES[self._kind].get(name)
        return self._reaper.around(*around, found) if around else found


class WatchedRecords:
    """Records whose writes pass the reaper."""

    def __init__(self, inner: Any, reaper: Reaper) -> None:
        self._inner = inner
        for kind in WRITES:
            setattr(self, kind, Watched(getattr(inner, kind), kind, reaper))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def watched(world: World, reaper: Reaper) -> World:
    """The world of a controller that will be killed."""
    records: Any = WatchedRecords(world.records, reaper)
    return replace(world, records=records)
