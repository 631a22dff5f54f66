"""Limits by cgroup, on directories that look like one."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployments.adapters.supervisor.limits import (
    LimitSupport,
    detect_limits,
    join_cgroup,
    look_at_limits,
    remove_cgroup,
)

NOTHING = LimitSupport(None, memory=False, cpu=False)


@pytest.fixture
def cgroup(tmp_path: Path) -> tuple[Path, Path]:
    """A hierarchy whose group `/mine` is ours and gives memory, and the file that says so."""
    (tmp_path / "cgroups" / "mine").mkdir(parents=True)
    (tmp_path / "cgroups" / "mine" / "cgroup.subtree_control").write_text("memory pids\n")
    own = tmp_path / "own"
    own.write_text("4:memory:/v1\n0::/mine\n")
    return tmp_path / "cgroups", own


def test_controllers_that_are_given_are_used(cgroup: tuple[Path, Path]) -> None:
    assert look_at_limits(*cgroup) == LimitSupport(cgroup[0] / "mine", memory=True, cpu=False)


def test_controllers_are_asked_for(cgroup: tuple[Path, Path]) -> None:
    detect_limits(*cgroup)
    assert (cgroup[0] / "mine" / "cgroup.subtree_control").read_text() == "+cpu"


def test_without_a_unified_hierarchy_there_are_none(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("4:memory:/v1\n")
    assert look_at_limits(tmp_path, tmp_path / "own") == NOTHING
    assert detect_limits(tmp_path, tmp_path / "absent") == NOTHING


def test_a_group_without_controllers_gives_none(cgroup: tuple[Path, Path]) -> None:
    (cgroup[0] / "mine" / "cgroup.subtree_control").write_text("pids\n")
    assert look_at_limits(*cgroup) == NOTHING


def test_a_process_moves_into_a_group_with_its_limits(cgroup: tuple[Path, Path]) -> None:
    support = LimitSupport(cgroup[0] / "mine", memory=True, cpu=True)
    join_cgroup("instance:api-1", memory_mb=64, cpu=0.5, support=support)
    group = cgroup[0] / "mine" / "fairlead-instance%3Aapi-1"
    assert (group / "memory.max").read_text() == str(64 * 1024 * 1024)
    assert (group / "cpu.max").read_text() == "50000 100000"
    assert (group / "cgroup.procs").read_text() == "0"


def test_a_process_without_limits_stays_where_it_is(cgroup: tuple[Path, Path]) -> None:
    join_cgroup("instance:api-1", memory_mb=None, cpu=None, support=look_at_limits(*cgroup))
    assert not list((cgroup[0] / "mine").glob("fairlead-*"))


def test_the_group_of_a_process_that_ended_is_removed(cgroup: tuple[Path, Path]) -> None:
    support = look_at_limits(*cgroup)
    (cgroup[0] / "mine" / "fairlead-instance%3Aapi-1").mkdir()
    remove_cgroup("instance:api-1", support)
    remove_cgroup("instance:api-1", support)
    remove_cgroup("instance:api-1", NOTHING)
    assert not list((cgroup[0] / "mine").glob("fairlead-*"))
