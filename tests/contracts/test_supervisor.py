"""What every supervisor promises, the real one and the fake."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from deployments.adapters.supervisor import DataPlane
from deployments.domain.errors import Refused, StaleFence
from deployments.domain.ports import InstanceState, Program, Supervisor
from tests.fakes.supervisor import FakeSupervisor

GRACE = timedelta(seconds=30)
SLEEPS = ("/bin/sh", "-c", "exec sleep 1000")
FAILS = ("/bin/sh", "-c", "exit 3")


class _Fake(FakeSupervisor):
    """Knows the two commands of this suite."""

    def ensure_started(self, program: Program, *, fence: int):  # type: ignore[no-untyped-def]  # as the base
        if program.command == FAILS:
            self.exits_on_start(program.service, 3)
        return super().ensure_started(program, fence=fence)


@pytest.fixture(scope="module")
def plane() -> Iterator[DataPlane]:
    """One real data plane for the whole suite."""
    directory = Path(tempfile.mkdtemp(prefix="fl-", dir="/tmp"))
    plane = DataPlane(directory / "s", directory / "r", settle=timedelta(hours=1))
    try:
        plane.ensure_running()
        yield plane
    finally:
        plane.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(params=["real", "fake"])
def supervisor(request: pytest.FixtureRequest) -> Iterator[Supervisor]:
    if request.param == "fake":
        yield _Fake()
        return
    plane: DataPlane = request.getfixturevalue("plane")
    try:
        yield plane
    finally:
        for environment in (production(), staging()):
            for report in plane.observe_all(environment):
                plane.ensure_stopped(report.instance, grace=timedelta(0), fence=2**60)


@pytest.fixture(autouse=True)
def environments_of_its_own(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fences are never forgotten, so each test writes to environments that no other test wrote to."""
    monkeypatch.setattr(f"{__name__}._TEST", request.node.name)


_TEST = ""


def production() -> str:
    return f"{_TEST}/production"


def staging() -> str:
    return f"{_TEST}/staging"


def program(instance: str = "api-1", **overrides: object) -> Program:
    values: dict[str, object] = {
        "instance": instance,
        "project_environment": production(),
        "service": "api",
        "revision": "r1",
        "command": SLEEPS,
        "directory": Path("/"),
        "environment": {"PATH": os.defpath},
        "port": 18080,
        "log": Path(os.devnull),
    }
    return Program(**{**values, **overrides})  # type: ignore[arg-type]  # overrides are the test's business


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_a_started_instance_is_reported_with_what_it_is(supervisor: Supervisor) -> None:
    report = supervisor.ensure_started(program(), fence=1)
    assert report == supervisor.observe("api-1")
    assert report.state is InstanceState.RUNNING
    assert report.pid is not None
    assert (report.port, report.restarts, report.exit_code) == (18080, 0, None)
    assert (report.project_environment, report.service, report.revision) == (production(), "api", "r1")


def test_starting_twice_starts_once(supervisor: Supervisor) -> None:
    first = supervisor.ensure_started(program(), fence=1)
    assert supervisor.ensure_started(program(), fence=1).pid == first.pid


def test_an_instance_never_seen_is_unknown(supervisor: Supervisor) -> None:
    assert supervisor.observe("nobody").state is InstanceState.UNKNOWN


def test_a_stopped_instance_is_forgotten(supervisor: Supervisor) -> None:
    supervisor.ensure_started(program(), fence=1)
    supervisor.ensure_stopped("api-1", grace=GRACE, fence=1)
    assert supervisor.observe("api-1").state is InstanceState.UNKNOWN
    assert list(supervisor.observe_all(production())) == []


def test_stopping_what_is_not_there_is_fine(supervisor: Supervisor) -> None:
    supervisor.ensure_stopped("nobody", grace=GRACE, fence=1)


def test_a_stopped_instance_can_be_started_again(supervisor: Supervisor) -> None:
    first = supervisor.ensure_started(program(), fence=1)
    supervisor.ensure_stopped("api-1", grace=GRACE, fence=1)
    again = supervisor.ensure_started(program(), fence=1)
    assert again.state is InstanceState.RUNNING
    assert again.pid != first.pid


def test_an_instance_that_ends_while_it_starts_keeps_its_code_until_it_is_stopped(supervisor: Supervisor) -> None:
    supervisor.ensure_started(program(command=FAILS), fence=1)
    wait_until(lambda: supervisor.observe("api-1").state is InstanceState.EXITED)
    report = supervisor.observe("api-1")
    assert (report.exit_code, report.pid) == (3, None)
    assert [seen.instance for seen in supervisor.observe_all(production())] == ["api-1"]
    supervisor.ensure_stopped("api-1", grace=GRACE, fence=1)
    assert supervisor.observe("api-1").state is InstanceState.UNKNOWN


def test_instances_are_listed_by_environment_in_the_order_of_their_start(supervisor: Supervisor) -> None:
    supervisor.ensure_started(program("b-1", port=18081), fence=1)
    supervisor.ensure_started(program("a-1", port=18082), fence=1)
    supervisor.ensure_started(program("c-1", port=18083, project_environment=staging()), fence=1)
    assert [report.instance for report in supervisor.observe_all(production())] == ["b-1", "a-1"]
    assert [report.instance for report in supervisor.observe_all(staging())] == ["c-1"]


def test_a_lower_fence_is_refused_and_starts_nothing(supervisor: Supervisor) -> None:
    supervisor.ensure_started(program(), fence=5)
    with pytest.raises(StaleFence):
        supervisor.ensure_started(program("api-2", port=18081), fence=4)
    assert supervisor.observe("api-2").state is InstanceState.UNKNOWN


def test_a_lower_fence_is_refused_and_stops_nothing(supervisor: Supervisor) -> None:
    supervisor.ensure_started(program(), fence=5)
    with pytest.raises(StaleFence):
        supervisor.ensure_stopped("api-1", grace=GRACE, fence=4)
    assert supervisor.observe("api-1").state is InstanceState.RUNNING


def test_who_was_overtaken_by_a_writer_that_has_not_written_yet_is_refused(supervisor: Supervisor) -> None:
    supervisor.ensure_started(program(), fence=5)
    supervisor.admit(production(), fence=7)
    supervisor.admit(production(), fence=7)

    with pytest.raises(StaleFence):
        supervisor.ensure_started(program("api-2", port=18081), fence=6)
    with pytest.raises(StaleFence):
        supervisor.admit(production(), fence=6)
    assert supervisor.observe("api-2").state is InstanceState.UNKNOWN
    assert supervisor.highest_fence(production()) == 7


def test_fences_of_environments_are_apart(supervisor: Supervisor) -> None:
    supervisor.ensure_started(program(), fence=5)
    supervisor.ensure_started(program("api-2", port=18081, project_environment=staging()), fence=1)
    assert supervisor.observe("api-2").state is InstanceState.RUNNING


def test_the_highest_fence_is_that_of_the_newest_writer_of_the_environment(supervisor: Supervisor) -> None:
    assert supervisor.highest_fence(production()) == 0
    supervisor.ensure_started(program(), fence=5)
    with pytest.raises(StaleFence):
        supervisor.ensure_stopped("api-1", grace=GRACE, fence=4)
    assert supervisor.highest_fence(production()) == 5
    assert supervisor.highest_fence(staging()) == 0


def test_an_empty_command_is_refused(supervisor: Supervisor) -> None:
    with pytest.raises(Refused):
        supervisor.ensure_started(program(command=()), fence=1)
