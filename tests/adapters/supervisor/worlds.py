"""Builders for tests with real processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from datetime import timedelta
from pathlib import Path

from deployments.adapters.supervisor import DataPlane
from deployments.adapters.supervisor.identity import ProcessIdentity
from deployments.domain.ports import InstanceState, Program

PATIENCE_SECONDS = 60.0


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Poll until it holds; a machine that is ten times slower still passes."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain: {what}")
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    return ProcessIdentity.of(pid) is not None


class World:
    """One data plane in a directory; `room` gives a test its own corner of one that others use too."""

    def __init__(self, directory: Path, *, settle: timedelta) -> None:
        self.project_environment = "shop/production"
        self.directory = directory
        self.state = directory / "s"
        self.run = directory / "r"
        self.log = directory / "instance.log"
        self.plane = DataPlane(self.state, self.run, settle=settle)

    def program(self, instance: str = "api-1", *, script: str | None = None, **overrides: object) -> Program:
        """A shell script, by default one that sleeps; valid unless overridden."""
        values: dict[str, object] = {
            "instance": instance,
            "project_environment": self.project_environment,
            "service": "api",
            "revision": "r1",
            "command": ("/bin/sh", "-c", script or "exec sleep 1000"),
            "directory": self.directory,
            "environment": {"PATH": os.defpath},
            "port": None,
            "log": self.log,
        }
        return Program(**{**values, **overrides})  # type: ignore[arg-type]  # overrides are the test's business

    def start(self, instance: str = "api-1", *, fence: int = 1, **overrides: object) -> int:
        """Start one and return its pid."""
        report = self.plane.ensure_started(self.program(instance, **overrides), fence=fence)  # type: ignore[arg-type]
        assert report.pid is not None
        return report.pid

    def stop(self, instance: str = "api-1", *, grace: timedelta = timedelta(seconds=30), fence: int = 1) -> None:
        self.plane.ensure_stopped(instance, grace=grace, fence=fence)

    def state_of(self, instance: str = "api-1") -> InstanceState:
        return self.plane.observe(instance).state

    def room(self, directory: Path) -> World:
        """The same data plane, with another directory and another environment."""
        room = copy(self)
        room.directory, room.log = directory, directory / "instance.log"
        room.project_environment = directory.name
        return room

    def empty(self) -> None:
        """Stop what a test left running here."""
        for report in self.plane.observe_all(self.project_environment):
            self.plane.ensure_stopped(report.instance, grace=timedelta(0), fence=2**60)

    def daemon_pid(self) -> int:
        return int((self.run / "supervisord.pid").read_text())

    def kill_daemon(self) -> None:
        """SIGKILL, and wait until it is gone."""
        pid = self.daemon_pid()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(pid), "the supervisor's end")

    def end(self) -> None:
        """Leave nothing running."""
        self.plane.stop()
        with suppress(FileNotFoundError):
            assert not is_alive(self.daemon_pid())


def python(code: str) -> tuple[str, ...]:
    """A command that runs Python code."""
    return (sys.executable, "-I", "-c", code)
