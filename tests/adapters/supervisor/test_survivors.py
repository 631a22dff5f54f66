"""A supervisor that was killed, and what the next one finds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from deployments.adapters.supervisor.identity import ProcessIdentity
from deployments.domain.errors import StaleFence, SupervisorUnavailable
from deployments.domain.ports import InstanceState
from tests.adapters.supervisor.worlds import World, is_alive, wait_until


def test_survivors_are_observed_while_the_supervisor_is_away(world: World) -> None:
    pid = world.start()
    world.kill_daemon()
    assert world.plane.observe("api-1").pid == pid
    assert [report.pid for report in world.plane.observe_all("shop/production")] == [pid]


def test_a_restarted_supervisor_takes_survivors_over_and_starts_nothing_twice(world: World) -> None:
    pid = world.start()
    world.kill_daemon()
    world.plane.ensure_running()
    assert world.start() == pid
    assert world.plane.observe("api-1").pid == pid


def test_a_survivor_goes_on_logging(world: World) -> None:
    world.start(script="while [ ! -e go ]; do sleep 0.05; done; echo after; echo more >&2; exec sleep 1000")
    world.kill_daemon()
    (world.directory / "go").touch()
    wait_until(lambda: world.log.read_text() == "after\nmore\n", "output with no supervisor")
    assert world.state_of() is InstanceState.RUNNING


def test_a_survivor_can_be_stopped(world: World) -> None:
    pid = world.start()
    world.kill_daemon()
    world.stop()
    assert not is_alive(pid)
    assert world.state_of() is InstanceState.UNKNOWN


def test_a_survivor_that_ignores_sigterm_is_killed_after_its_grace(world: World) -> None:
    pid = world.start(script="trap '' TERM; echo up; while :; do sleep 0.05; done")
    wait_until(lambda: world.log.exists() and "up" in world.log.read_text(), "the trap")
    world.kill_daemon()
    world.stop(grace=timedelta(milliseconds=100))
    assert not is_alive(pid)


def test_a_settled_survivor_that_crashes_is_restarted(settled_world: World) -> None:
    pid = settled_world.start()
    settled_world.kill_daemon()
    settled_world.plane.ensure_running()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: settled_world.plane.observe("api-1").restarts == 1, "the restart")
    wait_until(lambda: settled_world.state_of() is InstanceState.RUNNING, "the next life")


def test_a_settled_instance_that_died_with_the_supervisor_is_started_again(settled_world: World) -> None:
    pid = settled_world.start()
    wait_until(lambda: '"has_settled": true' in record_text(settled_world), "the record")
    settled_world.kill_daemon()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), "the end")
    settled_world.plane.ensure_running()
    wait_until(lambda: settled_world.state_of() is InstanceState.RUNNING, "the next life")
    assert settled_world.plane.observe("api-1").pid != pid


def record_text(world: World) -> str:
    return (world.state / "processes" / "instance:api-1.json").read_text()


def test_an_instance_that_failed_to_start_while_the_supervisor_was_away_stays_ended(world: World) -> None:
    pid = world.start()
    world.kill_daemon()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), "the end")
    assert world.state_of() is InstanceState.EXITED
    world.plane.ensure_running()
    assert world.state_of() is InstanceState.EXITED


def test_a_stop_that_was_begun_is_finished_by_the_next_supervisor(world: World) -> None:
    pid = world.start(script="trap '' TERM; echo up; while :; do sleep 0.05; done")
    wait_until(lambda: world.log.exists() and "up" in world.log.read_text(), "the trap")
    world.plane._calls.call("stop", key="instance:api-1", grace=0.5, fence=1)
    world.kill_daemon()
    world.plane.ensure_running()
    wait_until(lambda: not is_alive(pid), "the end")
    wait_until(lambda: world.state_of() is InstanceState.UNKNOWN, "forgotten")


def test_the_fence_outlives_the_supervisor(world: World) -> None:
    world.start(fence=7)
    world.kill_daemon()
    assert world.plane.highest_fence("shop/production") == 7
    with pytest.raises(StaleFence):
        world.stop(fence=6)


def test_a_pid_given_to_another_process_is_not_taken_for_the_instance(world: World) -> None:
    world.start()
    identity = world.state / "processes" / "instance:api-1.pid"
    recorded = ProcessIdentity.of(os.getpid())
    assert recorded is not None
    pid = world.plane.observe("api-1").pid
    assert pid is not None
    world.kill_daemon()
    os.kill(pid, signal.SIGKILL)
    identity.write_text(f'{{"pid": {recorded.pid}, "started": {recorded.started - 1}, "boot": "{recorded.boot}"}}')
    assert world.state_of() is InstanceState.EXITED
    world.stop()
    assert is_alive(os.getpid())


def test_an_identity_from_an_earlier_boot_is_not_alive() -> None:
    now = ProcessIdentity.of(os.getpid())
    assert now is not None
    assert now.is_alive()
    assert not ProcessIdentity(now.pid, now.started, "another boot").is_alive()


def test_many_starters_at_once_start_one_supervisor(world: World) -> None:
    code = (
        "import sys; from pathlib import Path; from deployments.adapters.supervisor import DataPlane\n"
        "plane = DataPlane(Path(sys.argv[1]), Path(sys.argv[2])); plane.ensure_running()\n"
        "print((Path(sys.argv[2]) / 'supervisord.pid').read_text().strip())\n"
    )
    command = [sys.executable, "-c", code, str(world.state), str(world.run)]
    starters = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    pids = {starter.communicate(timeout=120)[0].strip() for starter in starters}
    assert pids == {str(world.daemon_pid())}


def test_the_supervisor_outlives_its_starter_in_a_session_of_its_own(world: World) -> None:
    code = (
        "import sys; from pathlib import Path; from deployments.adapters.supervisor import DataPlane\n"
        "DataPlane(Path(sys.argv[1]), Path(sys.argv[2])).ensure_running()"
    )
    subprocess.run([sys.executable, "-c", code, str(world.state), str(world.run)], check=True, timeout=120)
    pid = world.daemon_pid()
    assert is_alive(pid)
    assert os.getsid(pid) == pid
    assert Path(f"/proc/{pid}/fd/0").readlink() == Path("/dev/null")


def test_concurrent_starts_of_one_instance_start_it_once(world: World) -> None:
    world.plane.ensure_running()
    pids: list[int] = []
    threads = [threading.Thread(target=lambda: pids.append(world.start())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids) == 8
    assert len(set(pids)) == 1


def test_a_supervisor_that_hangs_is_reported_and_not_doubled(world: World) -> None:
    world.plane.ensure_running()
    pid = world.daemon_pid()
    world.plane._calls._timeout_seconds = 0.2
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(SupervisorUnavailable, match="did not answer"):
            world.plane.ensure_running()
    finally:
        os.kill(pid, signal.SIGCONT)
    world.plane._calls._timeout_seconds = 30
    world.plane.ensure_running()
    assert world.daemon_pid() == pid


def test_a_supervisor_that_cannot_start_says_why(world: World) -> None:
    (world.run).mkdir(parents=True)
    Path(world.run / "supervisord.conf").mkdir()
    with pytest.raises(SupervisorUnavailable, match=r"(?s)did not come up.*supervisord\.conf"):
        world.plane.ensure_running()
    Path(world.run / "supervisord.conf").rmdir()
