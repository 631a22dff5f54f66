"""Keeps programs running as children of the test: what the data plane's supervisor does, without one."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path


class ChildProcessHost:
    """Restarts what ends, as the supervisor does. Every program leads a process group, which `stop_all` ends whole."""

    def __init__(self) -> None:
        """Nothing runs yet."""
        self._children: dict[str, _Child] = {}

    def ensure_service(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        if not self.service_is_running(name):
            self.stop_service(name)
            self._children[name] = _Child(command, environment, log)

    def stop_service(self, name: str) -> None:
        child = self._children.pop(name, None)
        if child is not None:
            child.stop()

    def service_is_running(self, name: str) -> bool:
        child = self._children.get(name)
        return child is not None and child.is_running()

    def stop_all(self) -> None:
        """For the end of a test."""
        for name in list(self._children):
            self.stop_service(name)

    def pid(self, name: str) -> int:
        """The process of a program now."""
        return self._children[name].process.pid

    def started(self, name: str) -> tuple[Sequence[str], Mapping[str, str], Path]:
        """What a program was started with: command, environment and log."""
        child = self._children[name]
        return child.command, child.environment, child.log

    def stop_restarting(self, name: str) -> None:
        """The program is not started again when it ends."""
        self._children[name].is_wanted.clear()

    def kill(self, name: str) -> None:
        """SIGKILL its process; it is started again."""
        os.kill(self.pid(name), signal.SIGKILL)

    def abandon(self, name: str) -> int:
        """Forget a program without ending it, as a supervisor that is killed does; its pid."""
        child = self._children.pop(name)
        child.is_wanted.clear()
        return child.process.pid


class _Child:
    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.command = list(command)
        self.environment = dict(environment)
        self.log = log
        self.is_wanted = threading.Event()
        self.is_wanted.set()
        self.process = self._start()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def is_running(self) -> bool:
        return self._keeper.is_alive()

    def stop(self) -> None:
        self.is_wanted.clear()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
        self._keeper.join()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _keep(self) -> None:
        while True:
            self.process.wait()
            if not self.is_wanted.wait(timeout=0):
                return
            self.process = self._start()
