"""Logs: found by instance or service, read from their end, followed through rotation."""

from __future__ import annotations

import io
import os
import threading
import time
from pathlib import Path

import pytest

from deployments.adapters.supervisor.rotation import rotate
from deployments.cli.output import Output
from deployments.cli.tailing import InstanceLogs, Tail, follow, last_lines
from deployments.domain.errors import NotFound, Refused
from deployments.domain.ports import Program
from tests.fakes.supervisor import FakeSupervisor


def write_log(directory: Path, place: str, text: str = "line\n") -> Path:
    """A log below the directory."""
    log = directory / f"{place}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(text)
    return log


def start(supervisor: FakeSupervisor, instance: str, service: str, port: int) -> None:
    """A living instance."""
    program = Program(instance, "staging", service, "r", ("x",), Path("/"), {}, port, Path("/dev/null"))
    supervisor.ensure_started(program, fence=1)


def test_a_service_means_its_living_instances(tmp_path: Path) -> None:
    for instance in ("web-a-1", "web-b-1", "web-b-2"):
        write_log(tmp_path, f"staging/web/{instance}")
    supervisor = FakeSupervisor()
    start(supervisor, "web-b-1", "web", 8001)
    start(supervisor, "web-b-2", "web", 8002)

    found = InstanceLogs(tmp_path, supervisor).find("web")

    assert [log.stem for log in found] == ["web-b-1", "web-b-2"]


def test_when_none_lives_the_newest_log_is_told(tmp_path: Path) -> None:
    old, new = write_log(tmp_path, "staging/web/web-a-1"), write_log(tmp_path, "staging/web/web-b-1")
    os.utime(old, (1, 1))

    assert InstanceLogs(tmp_path, FakeSupervisor()).find("web") == [new]


def test_an_instance_that_ended_is_found_by_its_name(tmp_path: Path) -> None:
    log = write_log(tmp_path, "staging/web/web-a-1")

    assert InstanceLogs(tmp_path, FakeSupervisor()).find("web-a-1") == [log]


def test_a_service_of_two_environments_needs_the_environment(tmp_path: Path) -> None:
    write_log(tmp_path, "staging/web/web-a-1")
    log = write_log(tmp_path, "production/web/web-b-1")
    logs = InstanceLogs(tmp_path, FakeSupervisor())

    with pytest.raises(Refused, match="production, staging"):
        logs.find("web")
    assert logs.find("web", "production") == [log]


@pytest.mark.parametrize("name", ["nothing", "../../etc/passwd", "", ".."])
def test_what_has_no_log_is_refused_by_name(tmp_path: Path, name: str) -> None:
    write_log(tmp_path, "staging/web/web-a-1")

    with pytest.raises(Refused):
        InstanceLogs(tmp_path, FakeSupervisor()).find(name)


def test_not_found_is_its_own_error(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        InstanceLogs(tmp_path, FakeSupervisor()).find("nothing")


@pytest.mark.parametrize("count", [0, 1, 3, 50])
def test_the_last_lines_are_read_from_behind(tmp_path: Path, count: int) -> None:
    lines = [f"{number} {'x' * 9000}" for number in range(40)]
    log = write_log(tmp_path, "a", "\n".join(lines) + "\n")

    assert last_lines(log, count) == (lines[-count:] if count else [])


def test_the_last_lines_reach_back_over_a_rotation(tmp_path: Path) -> None:
    log = write_log(tmp_path, "a", "one\ntwo\n")
    assert rotate(log, largest_bytes=1)
    with log.open("a") as file:
        file.write("three\n")

    assert last_lines(log, 2) == ["two", "three"]


def test_a_tail_gives_whole_lines_and_goes_on_after_a_rotation(tmp_path: Path) -> None:
    log = write_log(tmp_path, "a", "before\n")
    tail = Tail(log)

    with log.open("ab") as file:
        file.write(b"one\ntw")
    assert tail.new_lines() == ["one"]
    with log.open("ab") as file:
        file.write(b"o \xff\n")
    assert tail.new_lines() == ["two \\xff"]
    assert rotate(log, largest_bytes=1)
    with log.open("ab") as file:
        file.write(b"three\n")
    assert tail.new_lines() == ["three"]
    tail.close()


def test_following_gives_what_comes_and_ends_when_nobody_reads(tmp_path: Path) -> None:
    log = write_log(tmp_path, "a", "before\n")
    results = io.StringIO()
    output = Output(results, io.StringIO())
    following = threading.Thread(target=follow, args=(lambda: [log], [log], output))
    following.start()
    deadline = time.monotonic() + 60
    while "later" not in results.getvalue() and time.monotonic() < deadline:
        with log.open("a") as file:
            file.write("later\n")
        time.sleep(0.05)
    output.has_reader = False
    following.join(60)

    assert not following.is_alive()
    assert "later" in results.getvalue()
    assert "before" not in results.getvalue()
