"""`python -m tests.faults.chaos`: deployments of random kinds, each with two faults at random times.

    python -m tests.faults.chaos --rounds 20             a new seed, which is printed
    python -m tests.faults.chaos --seed 7 --rounds 20    the same kinds, faults and times again

Times are counted from the controller's start, so a seed brings the same orders; where exactly a fault meets a
deployment also depends on how busy the machine is.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from deployments.adapters.supervisor.identity import ProcessIdentity
from deployments.domain.ports import InstanceState
from tests.fakes.database import PostgresServer, postgres_server
from tests.faults.judging import look
from tests.faults.kinds import KINDS, Kind
from tests.faults.lane import Lane, Running
from tests.faults.matrix import leave
from tests.faults.rows import Ground, Result, Row

LONGEST_SECONDS = 3.5
"""About as long as a deployment takes: a later fault meets one that has ended."""
STOPPED_SECONDS = 4.0
"""Longer than the lease."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that happens at a time after the controller began."""

    what: str
    at: float

    def __str__(self) -> str:
        return f"{self.what} at {self.at:.2f} s"


@dataclass(slots=True)
class Scene:
    """What a fault may touch."""

    lane: Lane
    server: PostgresServer
    environment: str
    controller: Running
    rng: random.Random
    last: str | None
    """The deployment before this one."""
    stopped: bool = False
    killed: set[str] = field(default_factory=set)
    costs_requests: bool = False
    """The proxy itself, or an instance that serves, was killed: requests that it had are lost, whoever deploys."""


def kill_controller(scene: Scene) -> None:
    """SIGKILL to who deploys."""
    scene.controller.signal(signal.SIGKILL)


def stop_controller(scene: Scene) -> None:
    """SIGSTOP; it goes on when everything is settled."""
    scene.controller.signal(signal.SIGSTOP)
    scene.stopped = scene.controller.is_alive


def kill_supervisor(scene: Scene) -> None:
    """SIGKILL to the data plane's supervisord."""
    pid = int((scene.lane.settings.run_directory / "data" / "supervisord.pid").read_text())
    os.kill(pid, signal.SIGKILL)


def kill_proxy(scene: Scene) -> None:
    """SIGKILL to HAProxy's master and its workers."""
    identity = scene.lane.supervisor.service_identity(f"haproxy-{scene.environment}")
    if identity is not None:
        scene.costs_requests = True
        os.killpg(identity.pid, signal.SIGKILL)


def kill_database(scene: Scene) -> None:
    """SIGKILL to PostgreSQL, which is started again."""
    scene.server.kill()
    scene.server.start_again()


def kill_instance(scene: Scene) -> None:
    """SIGKILL to one instance, of either release."""
    running = [r for r in scene.lane.supervisor.observe_all(scene.environment) if r.state is InstanceState.RUNNING]
    if running:
        scene.costs_requests = True
        victim = scene.rng.choice(running)
        identity = ProcessIdentity.of(victim.pid or 0)
        if identity is not None:
            identity.kill()
            scene.killed.add(victim.instance)


def kill_taker(scene: Scene) -> None:
    """The controller, and soon after it whoever takes over."""
    scene.controller.signal(signal.SIGKILL)
    taker = scene.lane.begin_to_settle(scene.environment)
    taker.wait(scene.rng.uniform(1.5, 4.0))
    taker.signal(signal.SIGKILL)
    taker.to_the_end()


FAULTS: dict[str, Callable[[Scene], None]] = {
    "controller killed": kill_controller,
    "controller stopped": stop_controller,
    "controller and taker killed": kill_taker,
    "supervisor killed": kill_supervisor,
    "proxy killed": kill_proxy,
    "database killed": kill_database,
    "instance killed": kill_instance,
}


class Storm(Ground):
    """A ground on which rows are orders with two faults."""

    def __init__(self, lane: Lane, server: PostgresServer, seed: int) -> None:
        super().__init__(lane)
        self.server, self.seed = server, seed

    def round(self, number: int) -> tuple[Result, list[Fault]]:
        """One deployment."""
        rng = random.Random(f"{self.seed} {number}")
        kind = rng.choice([kind for kind in KINDS if kind.occasion != "undo"])
        times = sorted(rng.uniform(0.1, LONGEST_SECONDS) for _ in range(2))
        faults = [Fault(rng.choice(list(FAULTS)), at) for at in times]
        result = Result(Row(kind, "; ".join(map(str, faults))))
        began = time.monotonic()
        try:
            self._storm(kind, faults, rng, result)
        except Exception as error:  # noqa: BLE001 - a round that could not be run is one that failed
            result.wrong.append(f"{type(error).__name__}: {error}")
        if result.wrong:
            self.abandon(kind)
        result.seconds = round(time.monotonic() - began, 2)
        return result, faults

    def _storm(self, kind: Kind, faults: Sequence[Fault], rng: random.Random, result: Result) -> None:
        lane = self.lane
        with self.environment(kind) as environment:
            before, last = look(lane, environment), lane.last(environment)
            order = self.order(kind, environment, None)
            with lane.load(environment) as load:
                scene = Scene(lane, self.server, environment, lane.begin(order), rng, last.id if last else None)
                self._strike(scene, faults)
                self._settle(scene, result)
            kept_warm = before.running - frozenset().union(*before.serving.values())
            before = replace(before, running=before.running - (kept_warm & scene.killed))
            record = lane.last(environment)
            record = None if record is not None and last is not None and record.id == last.id else record
            self.judge(environment, before, record, order, result)
            if not scene.costs_requests and not kind.is_first:
                self.judge_load(load, order, result)

    def _strike(self, scene: Scene, faults: Sequence[Fault]) -> None:
        began = time.monotonic()
        for fault in faults:
            scene.controller.wait(max(0.0, fault.at - (time.monotonic() - began)))
            time.sleep(max(0.0, fault.at - (time.monotonic() - began)))
            FAULTS[fault.what](scene)

    def _settle(self, scene: Scene, result: Result) -> None:
        """Reconcile until nothing is left to do; then who was stopped goes on, and may change nothing."""
        if scene.stopped:
            scene.controller.wait(STOPPED_SECONDS)
            self._reconcile(scene, result)
            settled, was_over = look(self.lane, scene.environment), self.is_over(scene)
            scene.controller.signal(signal.SIGCONT)
            done = scene.controller.to_the_end()
            if was_over and look(self.lane, scene.environment) != settled:
                result.wrong.append("who had been stopped changed something afterwards")
        else:
            done = scene.controller.to_the_end()
        if done.trouble:
            result.wrong.append(done.trouble.strip().splitlines()[-1])
        self._reconcile(scene, result)

    def is_over(self, scene: Scene) -> bool:
        """Whether the deployment had been opened, and others have brought it to its end."""
        record = self.lane.last(scene.environment)
        return record is not None and record.id != scene.last and record.is_final

    def _reconcile(self, scene: Scene, result: Result) -> None:
        done = self.lane.settle(scene.environment)
        if done.trouble:
            result.wrong.append(done.trouble)


def main(arguments: Sequence[str]) -> int:
    """0 when every round ended complete or back."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos", description="Two faults at random times.")
    parser.add_argument("--seed", type=int, default=None, help="of an earlier run")
    parser.add_argument("--rounds", type=int, default=20, help="deployments")
    parser.add_argument("--only", type=int, default=None, help="this round alone")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, leave)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    sys.stdout.write(f"seed {seed}\n")
    directory = Path(tempfile.mkdtemp(prefix="fl-c-", dir="/tmp"))
    directory.chmod(0o755)
    failed = 0
    try:
        with postgres_server() as server:
            lane = Lane(directory, server.url(server.create_database()))
            storm = Storm(lane, server, seed)
            try:
                for number in [options.only] if options.only is not None else range(options.rounds):
                    failed += tell(number, storm.round(number)[0])
            finally:
                lane.close()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    sys.stdout.write(f"{failed} wrong; seed {seed}\n")
    return 1 if failed else 0


def tell(number: int, result: Result) -> bool:
    """One line, and what was wrong; whether anything was."""
    sign = "WRONG" if result.wrong else result.end
    sys.stdout.write(f"{number:4} {sign:10} {result.seconds:6.2f} s  {result.row.kind}: {result.row.boundary}\n")
    for wrong in result.wrong:
        sys.stdout.write(f"           {wrong}\n")
    sys.stdout.flush()
    return bool(result.wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
