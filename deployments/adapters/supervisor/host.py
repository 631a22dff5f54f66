"""A place where processes live on after whoever started them: one supervisord, started by whoever first needs it.

The data plane and the control plane each have one, in directories of their own.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from deployments.adapters.supervisor.daemon import OUTPUT, SETTLE_VARIABLE, STATE_VARIABLE
from deployments.adapters.supervisor.identity import ProcessIdentity
from deployments.adapters.supervisor.records import INSTANCE, SERVICE, Record, Records
from deployments.adapters.supervisor.rpc import LONGEST_SOCKET_PATH, SupervisorAway, SupervisorCalls
from deployments.domain.errors import Refused, SupervisorUnavailable

START_SECONDS = 60.0
STARTER_PATIENCE_SECONDS = 5.0
STOP_MARGIN_SECONDS = 30.0
PACKAGE_ROOT = Path(__file__).resolve().parents[3]


class ProcessHost:
    """Runs long-living services; they are restarted whenever they end."""

    def __init__(
        self, state_directory: Path, run_directory: Path, *, settle: timedelta = timedelta(seconds=10)
    ) -> None:
        """`run_directory` holds the socket: Refused when its path is too long. Nothing is made or started yet."""
        self._state_directory = state_directory.absolute()
        self._run_directory = run_directory.absolute()
        self._settle = settle
        self._records = Records(self._state_directory)
        self._calls = SupervisorCalls(self._run_directory)
        if len(os.fsencode(self._calls.socket_path)) > LONGEST_SOCKET_PATH:
            raise Refused(
                f"the run directory {self._run_directory} is too long for a socket.",
                remedy=f"Choose one whose socket path stays within {LONGEST_SOCKET_PATH} bytes.",
            )

    def ensure_running(self) -> None:
        """Start the supervisor when it is not there; survivors of a killed one are taken over.

        Raises SupervisorUnavailable when it does not come up, or is there and does not answer.
        """
        if self.is_running():
            return
        self._make_directories()
        with _held_if_possible(self._run_directory / "starting.lock"):
            if not self.is_running():
                self._launch()

    def is_running(self) -> bool:
        """Whether the supervisor answers. Raises SupervisorUnavailable when it is there and does not."""
        try:
            self._calls.call("ping")
        except SupervisorAway:
            return False
        return True

    def ensure_service(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        *,
        directory: Path | None = None,
        stop_signal: str = "TERM",
        stop_grace: timedelta = timedelta(seconds=10),
        user: tuple[int, int] | None = None,
    ) -> None:
        """Run a service unless one of this name runs. `environment` is complete; `user` is (uid, gid) to run as."""
        record = Record(
            kind=SERVICE,
            name=name,
            command=tuple(command),
            directory=str(directory or "/"),
            log=str(log),
            environment=dict(environment),
            stop_signal=stop_signal,
            stop_grace=stop_grace.total_seconds(),
            user=user,
        )
        self._start(record, fence=None)

    def stop_service(self, name: str) -> None:
        """Stop it and wait until it ended; one that is not there is fine."""
        self._stop(f"{SERVICE}:{name}", grace=None, fence=None)

    def service_is_running(self, name: str) -> bool:
        """Whether its process lives, also while the supervisor is away."""
        return self._records.living(f"{SERVICE}:{name}") is not None

    def service_restarts(self, name: str) -> int:
        """How often it was started again after it ended by itself."""
        record = self._records.load(f"{SERVICE}:{name}")
        return record.restarts if record else 0

    def service_identity(self, name: str) -> ProcessIdentity | None:
        """The living process of a service, to tell one life from the next."""
        return self._records.living(f"{SERVICE}:{name}")

    def stop(self) -> list[str]:
        """Stop everything and the supervisor itself; what was stopped, as `instance api-1` or `service proxy`.

        Instances go first and together, then services, the youngest first: those were started on top of older ones.
        """
        if not any(self._records.all()) and not self.is_running():
            return []
        self.ensure_running()
        found = self._calls.call("observe_all")
        stopped = [f"{report['kind']} {report['name']}" for report in found if report["pid"]]
        instances = [report["name"] for report in found if report["kind"] == INSTANCE]
        for name in instances:
            self._calls.call("stop", key=f"{INSTANCE}:{name}")
        for name in instances:
            self._stop(f"{INSTANCE}:{name}", grace=None, fence=None)
        for report in reversed([report for report in found if report["kind"] == SERVICE]):
            self.stop_service(report["name"])
        self._shut_down()
        return stopped

    def _start(self, record: Record, *, fence: int | None) -> dict[str, Any]:
        if not record.command:
            raise Refused(f"{record.kind} {record.name} has an empty command.", remedy="Give it a run command.")
        answer: dict[str, Any] = self._call_running("start", record=record.to_dict(), fence=fence)
        return answer

    def _stop(self, key: str, *, grace: float | None, fence: int | None) -> None:
        """Ask until it is forgotten: asking again is harmless, and a supervisor may die meanwhile."""
        record = self._records.load(key)
        if record is None:
            return
        seconds = record.stop_grace if grace is None else grace
        deadline = time.monotonic() + seconds + STOP_MARGIN_SECONDS
        pause = 0.005
        while True:
            self._call_running("stop", key=key, grace=seconds, fence=fence)
            if not self._call_running("observe", key=key):
                return
            if time.monotonic() > deadline:
                raise SupervisorUnavailable(f"{key} was told to stop and has not ended.", key=key)
            time.sleep(pause)
            pause = min(pause * 1.5, 0.1)

    def _call_running(self, method: str, **values: object) -> Any:
        """Call, starting the supervisor first when it is away."""
        try:
            return self._calls.call(method, **values)
        except SupervisorAway:
            self.ensure_running()
            return self._calls.call(method, **values)

    def _make_directories(self) -> None:
        for directory in (self._state_directory, self._run_directory):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _launch(self) -> None:
        command = [sys.executable, "-m", "deployments.adapters.supervisor.daemon", str(self._run_directory)]
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": str(PACKAGE_ROOT),
            STATE_VARIABLE: str(self._state_directory),
            SETTLE_VARIABLE: str(self._settle.total_seconds()),
        }
        started = subprocess.run(
            command, env=environment, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if started.returncode != 0:
            raise SupervisorUnavailable(f"the supervisor could not be started: {started.stderr.strip()[-500:]}")
        daemon = ProcessIdentity.of(int(started.stdout))
        deadline = time.monotonic() + START_SECONDS
        while not self.is_running():
            is_over = daemon is None or not daemon.is_alive() or time.monotonic() > deadline
            if is_over and self.is_running():  # somebody else's, while ours found the state directory taken
                return
            if is_over:
                raise SupervisorUnavailable(
                    f"the supervisor did not come up: {self._output()}",
                    remedy=f"Look at supervisord.log in {self._run_directory}.",
                )
            time.sleep(0.01)

    def _output(self) -> str:
        with suppress(OSError):
            return (self._run_directory / OUTPUT).read_text(encoding="utf-8", errors="replace").strip()[-500:]
        return ""

    def _shut_down(self) -> None:
        supervisor = ProcessIdentity.of(self._calls.call("ping")["pid"])
        with suppress(SupervisorUnavailable):  # it may end before it has answered
            self._calls.call("shut_down")
        deadline = time.monotonic() + STOP_MARGIN_SECONDS
        while supervisor is not None and supervisor.is_alive():
            if time.monotonic() > deadline:
                raise SupervisorUnavailable("the supervisor was told to end and has not.", pid=supervisor.pid)
            time.sleep(0.01)


@contextmanager
def _held_if_possible(path: Path) -> Iterator[None]:
    """One starter at a time spares the others the work; it is the daemon's own lock that keeps supervisors to one.

    So a starter that is stopped while it holds this is waited for a moment, and then done without.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + STARTER_PATIENCE_SECONDS
    try:
        while time.monotonic() < deadline:
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(0.01)
        yield
    finally:
        os.close(descriptor)
