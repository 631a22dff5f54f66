"""Instances under a real supervisord."""

from __future__ import annotations

import os
import resource
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from deployments.adapters.supervisor.limits import HEADROOM_FACTOR, HEADROOM_MB, detect_limits
from deployments.domain.errors import Refused, StaleFence
from deployments.domain.ports import InstanceState
from tests.adapters.supervisor.worlds import World, is_alive, python, wait_until


def environment_of(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(entry.split("=", 1) for entry in entries if entry)


def test_an_instance_has_exactly_the_environment_it_was_given_and_who_it_is(room: World) -> None:
    pid = room.start(
        environment={"PATH": os.defpath, "COLOUR": "blue\n#;%(x)s"}, script="env -0 > env; exec sleep 1000"
    )
    wait_until(lambda: (room.directory / "env").exists(), "the script's output")
    wait_until(lambda: (room.directory / "env").read_text().endswith("\0"), "all of it")
    entries = (room.directory / "env").read_text().split("\0")
    seen = dict(entry.split("=", 1) for entry in entries if entry)
    assert {name: seen.pop(name, None) for name in ("PATH", "COLOUR")} == {
        "PATH": os.defpath,
        "COLOUR": "blue\n#;%(x)s",
    }
    assert {name: value for name, value in seen.items() if name.startswith("FAIRLEAD_")} == {
        "FAIRLEAD_INSTANCE": "api-1",
        "FAIRLEAD_SUPERVISOR": str(room.state),
        "FAIRLEAD_ENVIRONMENT": room.project_environment,
        "FAIRLEAD_SERVICE": "api",
        "FAIRLEAD_REVISION": "r1",
        "FAIRLEAD_PROCESS": str(pid),
    }
    assert {name for name in seen if not name.startswith("FAIRLEAD_")} <= {"PWD", "OLDPWD", "SHLVL", "_"}


def test_output_of_both_kinds_goes_to_the_log(room: World) -> None:
    room.start(script="echo out; echo err >&2; exec sleep 1000")
    wait_until(lambda: room.log.exists() and room.log.read_text() == "out\nerr\n", "both lines")


def test_an_instance_that_ends_by_itself_is_reported_with_its_code(room: World) -> None:
    room.start(script="exit 7")
    wait_until(lambda: room.state_of() is InstanceState.EXITED, "the end")
    report = room.plane.observe("api-1")
    assert (report.exit_code, report.restarts, report.pid) == (7, 0, None)


def test_a_program_that_cannot_be_run_ends_with_127_and_says_why(room: World) -> None:
    room.start(command=("no-such-program",))
    wait_until(lambda: room.state_of() is InstanceState.EXITED, "the end")
    assert room.plane.observe("api-1").exit_code == 127
    assert "api-1 could not run no-such-program" in room.log.read_text()


def test_a_directory_that_is_not_there_ends_with_127_and_says_why(room: World) -> None:
    room.start(directory=room.directory / "nowhere")
    wait_until(lambda: room.state_of() is InstanceState.EXITED, "the end")
    assert "could not enter" in room.log.read_text()


def test_a_program_is_found_on_the_path_of_its_own_environment(room: World) -> None:
    program = room.directory / "bin" / "greet"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho hello\nexec sleep 1000\n")
    program.chmod(0o755)
    room.start(command=("greet",), environment={"PATH": f"{program.parent}:{os.defpath}"})
    wait_until(lambda: room.log.exists() and room.log.read_text() == "hello\n", "the greeting")


def test_an_instance_killed_while_it_starts_reports_the_signal(room: World) -> None:
    os.kill(room.start(), signal.SIGKILL)
    wait_until(lambda: room.state_of() is InstanceState.EXITED, "the end")
    assert room.plane.observe("api-1").exit_code == -signal.SIGKILL


def test_a_settled_instance_that_crashes_is_restarted_and_counted(settled_world: World) -> None:
    first = settled_world.start()
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: settled_world.plane.observe("api-1").restarts == 1, "the restart")
    wait_until(lambda: settled_world.state_of() is InstanceState.RUNNING, "the next life")
    report = settled_world.plane.observe("api-1")
    assert report.pid not in (None, first)
    assert report.exit_code == -signal.SIGKILL


def test_a_settled_instance_that_keeps_crashing_is_starting_between_its_lives(settled_world: World) -> None:
    settled_world.start(script="exit 3")
    wait_until(lambda: settled_world.plane.observe("api-1").restarts >= 1, "a restart")
    wait_until(lambda: settled_world.state_of() is InstanceState.STARTING, "a pause before the next")
    settled_world.stop()
    assert settled_world.state_of() is InstanceState.UNKNOWN


def test_stopping_waits_for_an_orderly_end(room: World) -> None:
    room.start(script="trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done")
    wait_until(lambda: room.log.exists() and "up" in room.log.read_text(), "the trap")
    room.stop()
    assert room.log.read_text().endswith("bye\n")
    assert room.state_of() is InstanceState.UNKNOWN


def test_an_instance_that_ignores_sigterm_is_killed_after_its_grace(room: World) -> None:
    pid = room.start(script="trap '' TERM; echo up; while :; do sleep 0.05; done")
    wait_until(lambda: room.log.exists() and "up" in room.log.read_text(), "the trap")
    room.stop(grace=timedelta(milliseconds=100))
    assert not is_alive(pid)


def test_a_stop_right_after_the_start_is_not_lost(room: World) -> None:
    for number in range(20):
        pid = room.start(f"api-{number}")
        room.stop(f"api-{number}", grace=timedelta(minutes=5))
        assert not is_alive(pid)


def test_stopping_ends_children_and_those_that_left_the_group(room: World) -> None:
    room.start(script="sleep 1000 & echo $! > child; setsid sleep 1001 & echo $! > escaped; touch done; wait")
    wait_until(lambda: (room.directory / "done").exists(), "the children")
    children = [int((room.directory / name).read_text()) for name in ("child", "escaped")]
    room.stop()
    wait_until(lambda: not any(map(is_alive, children)), "the children's end")


def test_children_of_a_crashed_leader_do_not_outlive_it(room: World) -> None:
    leader = room.start(script="sleep 1000 & echo $! > child; touch done; wait")
    wait_until(lambda: (room.directory / "done").exists(), "the child")
    os.kill(leader, signal.SIGKILL)
    child = int((room.directory / "child").read_text())
    wait_until(lambda: not is_alive(child), "the child's end")


def test_signals_ignored_or_blocked_by_the_starter_reach_the_instance(world: World) -> None:
    code = "import os, signal; print(signal.pthread_sigmask(0, []), signal.getsignal(signal.SIGHUP), flush=True)"
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        world.plane.ensure_running()
    finally:
        signal.signal(signal.SIGHUP, before)
    world.start(command=python(code))
    wait_until(lambda: world.state_of() is InstanceState.EXITED, "the end")
    assert world.log.read_text() == "set() 0\n"


def test_limits_hold_the_process(room: World) -> None:
    room.start(open_files=64, memory_mb=300)
    limits = Path(f"/proc/{room.plane.observe('api-1').pid}/limits")
    wait_until(lambda: "64                   64" in limits.read_text(), "the limit of open files")
    if not detect_limits().memory:
        assert f"{(300 * HEADROOM_FACTOR + HEADROOM_MB) * 1024 * 1024}" in limits.read_text()


def test_a_limit_above_the_hard_limit_is_held_at_the_hard_limit(room: World) -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room.start(open_files=hard + 1_000_000, script="exec sleep 1000")
    wait_until(lambda: room.state_of() is InstanceState.RUNNING, "the start")


def test_a_stale_fence_changes_nothing(room: World) -> None:
    pid = room.start(fence=5)
    with pytest.raises(StaleFence) as refused:
        room.stop(fence=4)
    assert refused.value.context["highest"] == 5
    assert is_alive(pid)
    with pytest.raises(StaleFence):
        room.start("api-2", fence=4)
    assert room.state_of("api-2") is InstanceState.UNKNOWN


def test_a_fence_needs_more_than_32_bits(room: World) -> None:
    room.start(fence=2**40)
    assert room.plane.highest_fence(room.project_environment) == 2**40


def test_an_empty_command_is_refused(room: World) -> None:
    with pytest.raises(Refused, match="empty command"):
        room.plane.ensure_started(room.program(command=()), fence=1)


def test_a_run_directory_too_long_for_a_socket_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="too long for a socket"):
        World(tmp_path / ("x" * 100), settle=timedelta(0))


def test_state_directories_with_odd_characters_work(short_directory: Path) -> None:
    odd = World(short_directory / "a b;#%(x)s", settle=timedelta(0))
    try:
        odd.start()
        assert odd.state_of() is InstanceState.RUNNING
    finally:
        odd.end()
