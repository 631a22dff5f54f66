"""A process that is stopped while it starts the supervisor makes nobody wait for long, and starts no second one."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from deployments.adapters.supervisor import DataPlane, host
from deployments.adapters.supervisor.daemon import SETTLE_VARIABLE, STATE_VARIABLE
from deployments.adapters.supervisor.identity import find_by_environment
from tests.adapters.supervisor.worlds import World, wait_until


@pytest.fixture
def held_lock(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Somebody began to start the supervisor and was stopped."""
    monkeypatch.setattr(host, "STARTER_PATIENCE_SECONDS", 0.1)
    world.run.mkdir(parents=True)
    lock = os.open(world.run / "starting.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    yield
    os.close(lock)


def daemons(world: World) -> list[int]:
    """Every process of this state directory's supervisor, also one that waits to become it."""
    found = find_by_environment({STATE_VARIABLE: str(world.state)})
    return [identity.pid for identity in found]


@pytest.mark.usefixtures("held_lock")
def test_a_starter_that_was_stopped_is_done_without(world: World) -> None:
    world.plane.ensure_running()
    assert world.plane.is_running()
    assert world.start()


@pytest.mark.usefixtures("held_lock")
def test_of_many_that_start_at_once_without_the_lock_one_supervisor_comes(world: World) -> None:
    failures: list[BaseException] = []

    def ensure() -> None:
        try:
            DataPlane(world.state, world.run).ensure_running()
        except BaseException as problem:  # noqa: BLE001 - shown by the assertion
            failures.append(problem)

    threads = [threading.Thread(target=ensure) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    wait_until(lambda: daemons(world) == [world.daemon_pid()], "the others to end")


def test_a_supervisor_that_comes_late_does_not_wait_for_the_end_of_the_one_that_serves(world: World) -> None:
    """A starter goes on after somebody else started it."""
    world.plane.ensure_running()
    variables = {
        "PATH": os.defpath,
        "PYTHONPATH": str(host.PACKAGE_ROOT),
        STATE_VARIABLE: str(world.state),
        SETTLE_VARIABLE: "10",
    }
    command = [sys.executable, "-m", "deployments.adapters.supervisor.daemon", str(world.run)]
    subprocess.run(command, env=variables, cwd="/", stdout=subprocess.DEVNULL, check=True)
    wait_until(lambda: daemons(world) == [world.daemon_pid()], "the late one to end")
    world.plane.stop()
    assert daemons(world) == []
