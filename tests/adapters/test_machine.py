"""This machine, looked at."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from deployments.adapters.machine import LocalMachine
from deployments.adapters.supervisor.identity import find_by_environment
from deployments.domain.ports import STEP_VARIABLE
from tests.waiting import until


def test_the_machine_has_what_every_machine_has(tmp_path: Path) -> None:
    facts = LocalMachine(tmp_path).observe()
    assert 1 <= facts.cpus <= (os.cpu_count() or 1)
    assert 0 < facts.memory_available_mb <= facts.memory_total_mb
    assert facts.disk_free_mb > 0


def test_a_state_directory_that_is_not_there_yet_is_no_trouble(tmp_path: Path) -> None:
    assert LocalMachine(tmp_path / "not" / "yet").observe().disk_free_mb > 0
    assert not (tmp_path / "not").exists()


def test_what_a_deployments_steps_left_running_is_ended_with_its_children_and_nothing_else(tmp_path: Path) -> None:
    forks = ["sh", "-c", "sleep 600 & sleep 600"]
    mine = [subprocess.Popen(forks, env={**os.environ, STEP_VARIABLE: "d-1"}) for _ in range(2)]
    other = subprocess.Popen(["sleep", "600"], env={**os.environ, STEP_VARIABLE: "d-2"})
    try:
        until(lambda: len(find_by_environment({STEP_VARIABLE: "d-1"})) == 6, "the processes to fork")

        ended = LocalMachine(tmp_path).end_step_processes("d-1")

        assert ended == 6
        assert [process.wait(10) for process in mine] == [-9, -9]
        assert other.poll() is None
        assert LocalMachine(tmp_path).end_step_processes("d-1") == 0
    finally:
        for process in (*mine, other):
            process.kill()
            process.wait()
