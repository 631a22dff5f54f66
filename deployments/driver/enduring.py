"""How long the driver waits for records that are away: as long as it may go on, and never forever.

The database was restarted, a connection was cut between commit and answer, its disk is full: the call is repeated.
While a deployment is held, that ends as soon as the lease may be over, for then somebody else may own the environment.
Nothing moves meanwhile: no effect comes before its intent is written.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from deployments.domain.errors import DatabaseUnavailable, DiskFull
from deployments.driver.run import Run
from deployments.driver.world import Clock, World
from deployments.store.enduring import EnduringRecords
from deployments.store.records import Records

PATIENCE = timedelta(minutes=10)
"""How long one call is repeated at most."""
BRIEF = timedelta(seconds=10)
"""The same before anything is on record, while a person waits to see it begin: long enough for a restart."""
AWAY = (DatabaseUnavailable, DiskFull)
"""What records raise that may answer later."""
SHORTEST, LONGEST = timedelta(milliseconds=50), timedelta(seconds=2)
"""Between two attempts: the first pause, and what it grows to."""
Result = TypeVar("Result")
log = logging.getLogger("fairlead.records")


@dataclass(frozen=True, slots=True)
class Patience:
    """Repeats a call of the records; `check` raises when there is a reason not to wait any longer."""

    clock: Clock
    check: Callable[[], None]
    longest: timedelta = LONGEST
    """The longest pause."""
    most: timedelta | None = None
    """How long one call is repeated; None: as long as `PATIENCE`."""

    def __call__(self, call: Callable[[], Result]) -> Result:
        """The answer, late perhaps. Raises DatabaseUnavailable or DiskFull after all patience, or what `check` does."""
        began, level = self.clock.monotonic(), logging.WARNING
        for pause in pauses(self.longest):
            try:
                return call()
            except AWAY as error:
                self.check()
                if self.clock.monotonic() - began > (self.most or PATIENCE).total_seconds():
                    raise
                log.log(level, "records_awaited", extra={"cause": error.message, "remedy": error.remedy})
                level = logging.DEBUG
            self.clock.sleep(pause)
        raise AssertionError("pauses have no end")


def pauses(longest: timedelta = LONGEST) -> Iterator[timedelta]:
    """Ever longer, up to the longest, without end."""
    pause = SHORTEST
    while True:
        yield pause
        pause = min(pause * 2, longest)


def patient(world: World, most: timedelta | None = None) -> World:
    """The world with records that are waited for: for who holds no lease."""
    patience = Patience(world.clock, lambda: None, most=most)
    return replace(world, records=EnduringRecords(plain(world.records), patience))


def while_held(run: Run) -> World:
    """The run's world with records that are waited for until the run is interrupted.

    Pauses stay short: every second that a database is back unnoticed is one of the lease.
    """
    world = run.world
    patience = Patience(world.clock, run.interruption.check, longest=world.timings.renew / 4)
    return replace(world, records=EnduringRecords(plain(world.records), patience))


def plain(records: Records) -> Records:
    """The records themselves, which fail at once."""
    return records.plain if isinstance(records, EnduringRecords) else records
