"""Claims of flow runs as files: alive as long as a process holds them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from deployments.adapters.control_plane.runs import ClaimedRun, ClaimedRuns

HOLD = """
import sys
from pathlib import Path
from uuid import UUID
from deployments.adapters.control_plane.runs import ClaimedRuns
with ClaimedRuns(Path(sys.argv[1])).held(UUID(sys.argv[2])) as is_mine:
    print(is_mine, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def runs(tmp_path: Path) -> ClaimedRuns:
    return ClaimedRuns(tmp_path / "runs")


def test_a_run_is_claimed_once(runs: ClaimedRuns) -> None:
    run = uuid4()
    assert runs.claim(run, "flows.deploy.deploy")
    assert not runs.claim(run, "flows.deploy.deploy")
    assert runs.all() == [ClaimedRun(run, "flows.deploy.deploy", pid=None)]
    runs.forget(run)
    assert runs.all() == []


def test_a_run_is_alive_while_a_process_holds_it_and_dead_when_that_is_killed(
    runs: ClaimedRuns, tmp_path: Path
) -> None:
    run = uuid4()
    runs.claim(run, "flows.deploy.deploy")
    assert not runs.is_alive(run)
    holder = hold(tmp_path / "runs", str(run))
    try:
        assert runs.alive() == [ClaimedRun(run, "flows.deploy.deploy", pid=holder.pid)]
        with runs.held(run) as is_mine:
            assert not is_mine
    finally:
        holder.kill()
        holder.communicate()
    assert not runs.is_alive(run)
    assert runs.all() == [ClaimedRun(run, "flows.deploy.deploy", pid=holder.pid)]


def hold(folder: Path, run: str) -> subprocess.Popen[str]:
    """A process that holds the run until it is killed."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), run], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "True\n"
    return holder


def test_a_run_that_is_not_claimed_cannot_be_held(runs: ClaimedRuns) -> None:
    with runs.held(uuid4()) as is_mine:
        assert not is_mine


def test_the_holders_number_is_readable_while_it_is_held(runs: ClaimedRuns) -> None:
    run = uuid4()
    runs.claim(run, "flows.deploy.deploy")
    with runs.held(run) as is_mine:
        assert is_mine
        assert runs.all()[0].pid == os.getpid()


def test_files_that_are_no_claims_are_passed_over(runs: ClaimedRuns, tmp_path: Path) -> None:
    run = uuid4()
    runs.claim(run, "flows.deploy.deploy")
    (tmp_path / "runs" / ".lock").touch()
    (tmp_path / "runs" / str(uuid4())).write_text("")
    assert [each.flow_run_id for each in runs.all()] == [run]
