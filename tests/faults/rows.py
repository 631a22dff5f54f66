"""One row of the matrix: prepare, kill at one boundary, settle, judge."""

from __future__ import annotations

import getpass
import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

from deployments.domain.entities import Deployment
from tests.faults.judging import BACK, Seen, dropped, judge, look
from tests.faults.kinds import Kind
from tests.faults.lane import Done, Lane, Load, Order

UNDO_KILLED_AT = "after receipt of shift:web:1"
"""Where the controller of an `undo` row dies, so that there is a way back to be killed on."""


@dataclass(frozen=True, slots=True)
class Row:
    """What is killed where; no boundary: nobody is killed, and the boundaries are noted."""

    kind: Kind
    boundary: str | None = None


@dataclass(slots=True)
class Result:
    """How a row ended. `wrong` is empty when it ended as it must."""

    row: Row
    end: str = "not run"
    seconds: float = 0.0
    requests: int = 0
    dropped: int = 0
    leftovers: int = 0
    wrong: list[str] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)


class Ground:
    """Where a lane's rows are run: environments that go from version to version, and new ones for first deployments."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self._versions = itertools.count(1)
        self._stable: dict[str, str] = {}

    def run(self, row: Row) -> Result:
        """One row, judged."""
        result = Result(row)
        began = time.monotonic()
        try:
            self._run(row, result)
        except Exception as error:  # noqa: BLE001 - a row that could not be run is a row that failed
            result.end = "not run"
            result.wrong.append(f"{type(error).__name__}: {error}")
        if result.wrong:
            self.abandon(row.kind)
        result.seconds = round(time.monotonic() - began, 2)
        return result

    def abandon(self, kind: Kind) -> None:
        """What a row that went wrong left is not built on."""
        self._stable.pop(self.name(kind), None)

    @staticmethod
    def name(kind: Kind) -> str:
        """Of the environment that rows of a kind share."""
        return str(kind).replace(" ", "-").replace("_", "-")

    def version(self) -> str:
        """One that was not used before in this lane."""
        return f"{next(self._versions)}.0"

    def _run(self, row: Row, result: Result) -> None:
        kind, lane = row.kind, self.lane
        with self.environment(kind) as environment:
            before = look(lane, environment)
            last = lane.last(environment)
            order = self.order(kind, environment, row.boundary)
            with nullcontext() if kind.is_first else lane.load(environment) as load:
                done, settled = self._drive(order, row, result)
            record = lane.last(environment)
            record = None if record is not None and last is not None and record.id == last.id else record
            self.judge(environment, before, record, order, result)
            result.passed = settled.passed if kind.occasion == "undo" else done.passed
            self.judge_processes(row, done, settled, result)
            if load is not None:
                self.judge_load(load, order, result)

    @contextmanager
    def environment(self, kind: Kind) -> Iterator[str]:
        """One where a release serves; for a first deployment a new one, which is ended afterwards."""
        name = self.name(kind)
        if kind.is_first:
            name = f"first-{next(self._versions)}"
            self.lane.world.records.environments.ensure_default(name, project="shop", principal=getpass.getuser())
            try:
                yield name
            finally:
                self.lane.end_environment(name)
            return
        for other in [one for one in self._stable if one != name]:
            self.lane.end_environment(other)
            del self._stable[other]
        if name not in self._stable:
            if self.lane.last(name) is not None:
                self.lane.end_environment(name)
            self._prepare(Kind(kind.strategy, "upgrade"), name)
        if kind.occasion == "rollback":
            self._prepare(Kind(kind.strategy, "upgrade"), name)
        yield name

    def _prepare(self, kind: Kind, environment: str) -> None:
        """Deploy a version that nobody kills."""
        version = self.version()
        done = self.lane.deploy(Order(kind, environment, version))
        record = self.lane.last(environment)
        if done.trouble or record is None or record.status != "completed":
            raise RuntimeError(f"{environment} could not be prepared: {record and record.message} {done.trouble}")
        self._stable[environment] = version

    def order(self, kind: Kind, environment: str, boundary: str | None) -> Order:
        kill_at = UNDO_KILLED_AT if kind.occasion == "undo" else boundary
        return Order(
            kind,
            environment,
            self.version(),
            is_bad=kind.occasion == "failing",
            is_rollback=kind.occasion == "rollback",
            kill_at=kill_at,
        )

    def _drive(self, order: Order, row: Row, result: Result) -> tuple[Done, Done]:
        """The controller, then the taker; a taker that is killed is followed by another one."""
        done = self.lane.deploy(order)
        settled = Done()
        if order.kill_at is not None:
            is_taker_killed = order.kind.occasion == "undo"
            settled = self.lane.settle(order.environment, row.boundary if is_taker_killed else None)
            if settled.was_killed:
                again = self.lane.settle(order.environment)
                result.wrong += [again.trouble] if again.trouble else []
        return done, settled

    def judge(self, environment: str, before: Seen, record: Deployment | None, order: Order, result: Result) -> None:
        version = order.version
        if order.is_rollback and record is not None:
            version = record.services[0][1]
        found = list(judge(self.lane, environment, before, record, version))
        result.leftovers = len(found)
        result.wrong += found
        result.end = "back" if record is None or record.status in BACK else str(record.status)
        if order.kind.occasion == "failing" and result.end != "back":
            result.wrong.append("a release that fails its check was kept")

    def judge_processes(self, row: Row, done: Done, settled: Done, result: Result) -> None:
        """Whoever was to be killed was, and a row that only looks has seen boundaries: else it proves nothing."""
        is_undo = row.kind.occasion == "undo"
        result.wrong += [one.trouble for one in (done, settled) if one.trouble]
        if is_undo and not done.was_killed:
            result.wrong.append(f"nobody was killed: {UNDO_KILLED_AT} was not passed")
        if row.boundary is not None and not (settled if is_undo else done).was_killed:
            result.wrong.append(f"nobody was killed: {row.boundary} was not passed")
        if row.boundary is None and not result.passed:
            result.wrong.append("no boundary was passed")

    def judge_load(self, load: Load, order: Order, result: Result) -> None:
        lost = dropped(load.reports, order.version if order.is_bad else None)
        result.requests = sum(report.requests for report in load.reports.values())
        result.dropped = len(lost)
        if lost:
            result.wrong.append(f"{len(lost)} requests were dropped: {'; '.join(lost[:3])}")
        if not result.requests:
            result.wrong.append("no load was sent")
