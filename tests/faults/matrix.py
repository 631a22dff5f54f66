"""Runs rows side by side: each lane is a process with proxies, database and ports of its own."""

from __future__ import annotations

import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType

from tests.fakes.database import PostgresServer, postgres_server
from tests.faults.kinds import KINDS, Kind
from tests.faults.lane import FORK, Lane
from tests.faults.rows import Ground, Result, Row

TURN = 25
"""Rows of one kind that a lane runs before it takes another kind."""
Told = Callable[[Result], None]


class Lanes:
    """Processes that wait for rows."""

    def __init__(self, number: int, directory: Path, server: PostgresServer) -> None:
        """Forked before anything here has a connection or a thread."""
        self._all: dict[Connection, BaseProcess] = {}
        for index in range(number):
            ours, theirs = FORK.Pipe()
            url = server.url(server.create_database())
            process = FORK.Process(target=work, args=(theirs, directory / str(index), url), daemon=False)
            process.start()
            theirs.close()
            self._all[ours] = process

    def run(self, rows: Sequence[Row], told: Told, *, until: float) -> list[Result]:
        """Each row in a lane that is free; those that time did not allow are left as not run."""
        queue, free, results = Queue(rows), list(self._all), []
        under_way: dict[Connection, Row] = {}
        while queue or under_way:
            while queue and free and time.monotonic() < until:
                lane = free.pop()
                under_way[lane] = queue.take(lane)
                lane.send(under_way[lane])
            if not under_way:
                break
            ready = wait(list(under_way), timeout=1)
            for lane in [lane for lane in under_way if lane in ready]:
                result = received(lane, under_way.pop(lane))
                results.append(result)
                told(result)
                if result.end != "lane lost":
                    free.append(lane)
        return [*results, *(Result(row) for row in queue.left())]

    def close(self) -> None:
        """End the lanes, and what they started."""
        for lane, process in self._all.items():
            if process.is_alive():
                lane.send(None)
        for process in self._all.values():
            process.join(60)
            if process.is_alive():
                process.kill()


class Queue:
    """Rows that wait. A lane stays with a kind for a while: changing costs it an environment.

    Not for ever, so that a run that is cut short has seen something of every kind.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        """In the order in which each kind's rows are run."""
        self._waiting: dict[Kind, list[Row]] = {}
        for row in rows:
            self._waiting.setdefault(row.kind, []).append(row)
        self._at: dict[object, tuple[Kind, int]] = {}
        self._begun: dict[Kind, int] = dict.fromkeys(self._waiting, 0)

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def take(self, lane: object) -> Row:
        """The next row of the lane's kind; of the kind that was begun least when that is over, or had its turn."""
        kind, left = self._at.get(lane, (None, 0))
        if kind is None or not left or kind not in self._waiting:
            kind, left = min(self._waiting, key=lambda one: self._begun[one]), TURN
        self._at[lane] = (kind, left - 1)
        self._begun[kind] += 1 if left == TURN else 0
        row = self._waiting[kind].pop(0)
        if not self._waiting[kind]:
            del self._waiting[kind]
        return row

    def left(self) -> list[Row]:
        """What nobody took."""
        return [row for rows in self._waiting.values() for row in rows]


def received(lane: Connection, row: Row) -> Result:
    """The lane's answer; a lane that died has none."""
    try:
        result: Result = lane.recv()
    except EOFError:
        result = Result(row, end="lane lost", wrong=["the lane's process died"])
    return result


def work(orders: Connection, directory: Path, url: str) -> None:
    """A lane's life: rows until there are no more, or it is told to leave."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, leave)
    directory.mkdir(parents=True, exist_ok=True)
    lane = Lane(directory, url)
    ground = Ground(lane)
    try:
        while (row := receive_row(orders)) is not None:
            orders.send(ground.run(row))
    finally:
        lane.close()


def leave(_number: int, _frame: FrameType | None) -> None:
    """What was begun is ended on the way out."""
    raise SystemExit(1)


def receive_row(orders: Connection) -> Row | None:
    """The next one; None at the end, also when nobody is left to ask."""
    try:
        row: Row | None = orders.recv()
    except EOFError:
        return None
    return row


@contextmanager
def lanes(number: int) -> Iterator[Lanes]:
    """Lanes on a database server of their own; nothing is left of them."""
    directory = Path(tempfile.mkdtemp(prefix="fl-m-", dir="/tmp"))
    directory.chmod(0o755)
    try:
        with postgres_server() as server:
            found = Lanes(number, directory, server)
            try:
                yield found
            finally:
                found.close()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def enumerate_rows(found: Lanes, kinds: Sequence[Kind], told: Told, *, until: float) -> tuple[list[Result], list[Row]]:
    """Each kind once without a kill: how it ends, and every boundary that it passes."""
    results = found.run([Row(kind) for kind in kinds], told, until=until)
    rows = [Row(result.row.kind, boundary) for result in results for boundary in moments(result.passed)]
    return results, rows


def moments(passed: Sequence[str]) -> list[str]:
    """Boundaries without those that are the moment before: nothing happens from a receipt to the next intent."""
    pairs = zip(["", *passed], passed, strict=False)
    return [here for before, here in pairs if not is_same_moment(before, here)]


def is_same_moment(before: str, here: str) -> bool:
    """Whether nothing is written between two boundaries that follow one another."""
    return before.startswith("after receipt of ") and here.startswith("before intent of ")


def sample(rows: Sequence[Row], share: int, seed: int = 0) -> list[Row]:
    """One of `share` rows, of every kind, spread over its boundaries."""
    chosen = []
    for kind in KINDS:
        own = [row for row in rows if row.kind == kind]
        offset = random.Random(f"{seed} {kind}").randrange(share) if own else 0
        chosen += own[offset::share]
    return chosen
