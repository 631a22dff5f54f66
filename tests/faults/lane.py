"""A lane: one home with its proxies, processes, ports and database, in which rows are run one after the other.

It has no threads, so that it can fork: controllers, takers and load each are a process of their own.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from deployments.adapters.supervisor.data_plane import DataPlane
from deployments.assembly import assemble, data_plane
from deployments.domain.drift import decide_drift
from deployments.domain.entities import Deployment
from deployments.domain.errors import LeaseLost
from deployments.driver.conducting import Conductor
from deployments.driver.forward import go_forward
from deployments.driver.looking import look
from deployments.driver.reconciling import reconcile_one
from deployments.driver.returning import target_of_rollback
from deployments.driver.world import World
from deployments.settings import Settings, Timings
from tests.faults.killing import Reaper, watched
from tests.faults.kinds import SERVICES, Kind, specification, write_source
from tests.load import LoadGenerator, LoadReport

FORK = multiprocessing.get_context("fork")
TIMINGS = Timings(*(timedelta(seconds=seconds) for seconds in (0.5, 3, 4, 15)))
"""Shorter than the defaults, so that a row is seconds; their order is what matters."""
SETTLE_SECONDS = 60.0
AT_MOST_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Order:
    """What a controller is to do."""

    kind: Kind
    environment: str
    version: str
    is_bad: bool = False
    is_rollback: bool = False
    kill_at: str | None = None


@dataclass(slots=True)
class Done:
    """What became of a controller: the boundaries it passed, and how its process ended."""

    passed: list[str] = field(default_factory=list)
    exit_code: int | None = None
    trouble: str = ""

    @property
    def was_killed(self) -> bool:
        """By SIGKILL."""
        return self.exit_code == -signal.SIGKILL


class Lane:
    """Lives in the process that made it."""

    def __init__(self, directory: Path, database_url: str) -> None:
        """`directory` is short: sockets are in it."""
        self.directory = directory
        self.settings = Settings(
            home=directory / "home",
            run_directory=directory / "run",
            database_url=SecretStr(database_url),
            timings=TIMINGS,
        )
        self.settings.ensure_directories()

    @cached_property
    def world(self) -> World:
        """For looking on; controllers assemble worlds of their own."""
        return assemble(self.settings)

    @cached_property
    def supervisor(self) -> DataPlane:
        """Of all environments of this lane."""
        return data_plane(self.settings)

    def last(self, environment: str) -> Deployment | None:
        """The newest deployment of an environment."""
        found = [d for d in self.world.records.queries.history(limit=20) if d.environment == environment]
        return self.world.records.deployments.get(found[0].id) if found else None

    def deploy(self, order: Order) -> Done:
        """In a process of its own, to its end."""
        return self.begin(order).to_the_end()

    def begin(self, order: Order) -> Running:
        """Begin a deployment in a process of its own."""
        return Running(drive, self.settings, order)

    def settle(self, environment: str, kill_at: str | None = None) -> Done:
        """What `fairlead up` does in another process: rounds of the reconciler until the last deployment is final."""
        return self.begin_to_settle(environment, kill_at).to_the_end()

    def begin_to_settle(self, environment: str, kill_at: str | None = None) -> Running:
        """Begin it in a process of its own."""
        return Running(reconcile, self.settings, environment, kill_at)

    @contextmanager
    def load(self, environment: str) -> Iterator[Load]:
        """Constant requests to both public routes while inside."""
        ports = {r.service: r.port for r in self.world.proxy(environment).routes() if r.service in SERVICES}
        load = Load(ports)
        try:
            yield load
        finally:
            load.stop()

    def end_environment(self, environment: str) -> None:
        """Stop everything of it, as `destroy` does."""
        fence = self.supervisor.highest_fence(environment) + 1
        for report in self.supervisor.observe_all(environment):
            self.supervisor.ensure_stopped(report.instance, grace=timedelta(seconds=2), fence=fence)
        self.world.proxy(environment).stop()

    def close(self) -> None:
        """Nothing of it runs any more: first who could start it again, where a row was cut short."""
        for child in multiprocessing.active_children():
            child.kill()
            child.join()
        self.supervisor.stop()
        self.world.records.close()


class Running:
    """Work in a process of its own, which reports what it passed."""

    def __init__(self, work: Callable[..., None], *arguments: object) -> None:
        """Begun."""
        self._ours, theirs = FORK.Pipe()
        self._process: BaseProcess = FORK.Process(target=quietly, args=(theirs, work, *arguments))
        self._process.start()
        theirs.close()
        self.done = Done()

    @property
    def is_alive(self) -> bool:
        """Whether it still runs; a stopped process does."""
        return self._process.is_alive()

    def signal(self, number: signal.Signals) -> None:
        """To the process, unless it has ended."""
        if self._process.pid is not None and self._process.is_alive():
            os.kill(self._process.pid, number)

    def wait(self, seconds: float) -> None:
        """Hear what it reports until it ends, at most for so long."""
        deadline = time.monotonic() + seconds
        while self._process.is_alive() and time.monotonic() < deadline:
            receive(self._ours, self.done, seconds=0.02)

    def to_the_end(self) -> Done:
        """Wait, end what takes too long, and tell."""
        self.wait(AT_MOST_SECONDS)
        if self._process.is_alive():
            self.done.trouble = f"did not end within {AT_MOST_SECONDS:.0f} s"
            self._process.kill()
        self._process.join()
        while receive(self._ours, self.done, seconds=0):
            continue
        self.done.exit_code = self._process.exitcode
        return self.done


class Load:
    """Load generators in a process of their own, so that nothing here takes their time."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        self._ours, theirs = FORK.Pipe()
        self._process: BaseProcess = FORK.Process(target=send_load, args=(theirs, dict(ports)))
        self._process.start()
        theirs.close()
        self.reports: dict[str, LoadReport] = {}
        self._ours.poll(10)
        self._ours.recv()

    def stop(self) -> None:
        """Send nothing new, wait for the last answers, keep the reports."""
        if self._process.is_alive():
            self._ours.send("stop")
            if self._ours.poll(60):
                self.reports = self._ours.recv()
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def send_load(orders: Connection, ports: Mapping[str, int]) -> None:
    """Until told to stop, or nobody is there to tell."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    loads = {
        name: LoadGenerator(
            f"http://127.0.0.1:{port}/", rate=20, keep_alive=2, fresh=2, slow=1, slow_path="/slow/0.4", at_most=300
        )
        for name, port in ports.items()
    }
    for load in loads.values():
        load.start()
    orders.send("started")
    try:
        orders.recv()
    except EOFError:
        return
    for load in loads.values():
        load.wait_for(8, patience=30)
    for load in loads.values():
        load.stop()
    orders.send({name: load.report() for name, load in loads.items()})


def quietly(report: Connection, work: Callable[..., None], *arguments: Any) -> None:
    """A child's whole life: what goes wrong is reported, and it leaves without touching what it inherited."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.setpgid(0, 0)
    try:
        work(report, *arguments)
    except BaseException:  # noqa: BLE001 - told to the lane, which judges
        report.send(("trouble", traceback.format_exc()))
    os._exit(0)


def receive(report: Connection, done: Done, *, seconds: float) -> bool:
    """Take one message; False when there is none."""
    try:
        if not report.poll(seconds):
            return False
        kind, value = report.recv()
    except EOFError:
        time.sleep(seconds)
        return False
    if kind == "trouble":
        done.trouble = value
    else:
        done.passed = value
    return True


def drive(report: Connection, settings: Settings, order: Order) -> None:
    """One deployment, as the flow does it, without Prefect."""
    reaper = Reaper(order.kill_at)
    world = watched(assemble(settings), reaper)
    conductor = Conductor(world)
    source = write_source(settings.home / "sources" / f"{order.environment}-{order.version}", order.version)
    parent = None
    if order.is_rollback:
        back = target_of_rollback(world, order.environment)
        asked, source, parent = back.specification, back.base, back.target.id
    else:
        asked = specification(order.kind, order.environment, order.version, source, is_bad=order.is_bad)
    run = conductor.begin(asked, None, source, None, parent, is_rollback=order.is_rollback)
    try:
        go_forward(run)
    except Exception as error:  # noqa: BLE001 - whatever ends it, as in the flow
        with suppress(LeaseLost):  # somebody else brought it to its end
            conductor.fail(run, error)
    finally:
        conductor.leave(run)
    report.send(("passed", reaper.passed))


def reconcile(report: Connection, settings: Settings, environment: str, kill_at: str | None) -> None:
    """Rounds over one environment until no deployment of it is unfinished, and nothing is left to repair."""
    reaper = Reaper(kill_at)
    world = watched(assemble(settings), reaper)
    deadline = time.monotonic() + SETTLE_SECONDS
    while reconcile_one(world, environment) or is_unsettled(world, environment):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not settled within {SETTLE_SECONDS:.0f} s")
        time.sleep(0.2)
    report.send(("passed", reaper.passed))


def is_unsettled(world: World, environment: str) -> bool:
    """Whether the reconciler would have something to do, now or after a pause."""
    if world.records.deployments.unfinished(environment):
        return True
    return bool(decide_drift(look(world, environment), resting=frozenset()))
