"""The control plane of one home: PostgreSQL, Prefect's server, the warm runner, the reconciler, under one supervisor.

Each is started by whoever first needs it and belongs to no command. Services and routes do not depend on it: they are
the data plane's, and stay when this goes down.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from deployments.adapters.control_plane.database import ensure_prefect_database
from deployments.adapters.control_plane.environment import (
    PACKAGE_ROOT,
    asynchronous,
    prefect_environment,
    reconciler_command,
    runner_command,
    server_command,
    server_environment,
    service_environment,
    settings_environment,
)
from deployments.adapters.control_plane.listening import free_port, is_answering, is_healthy, listens
from deployments.adapters.control_plane.runs import ClaimedRuns
from deployments.adapters.control_plane.vintage import vintage
from deployments.adapters.postgres import EmbeddedPostgres
from deployments.adapters.supervisor.host import ProcessHost
from deployments.domain.errors import Unavailable
from deployments.settings import Settings

PREFECT, RUNNER, RECONCILER, POSTGRES = "prefect", "runner", "reconciler", "postgres"
POOL = "fairlead"
RUNS_AT_ONCE = 8
START_SECONDS = 180.0
PORT_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class ControlPlaneStatus:
    """What runs now. `prefect_url` is set when the server answers; `runs` counts those in progress on the runner."""

    services: dict[str, bool]
    prefect_url: str | None
    runs: int

    @property
    def is_up(self) -> bool:
        """Whether anything of it runs."""
        return any(self.services.values())


class ControlPlane:
    """Starts, finds and stops what deployments are steered with."""

    def __init__(self, settings: Settings, host: ProcessHost, *, is_durable: bool = True) -> None:
        """`host` is the control plane's own supervisor; `is_durable` as in EmbeddedPostgres. Nothing is started yet."""
        self._settings = settings
        self._host = host
        self._directory = settings.home / "control"
        self._logs = settings.home / "logs"
        self._postgres = EmbeddedPostgres(host, settings.home, settings.run_directory, is_durable=is_durable)
        self._claims = ClaimedRuns(self._directory / "runs")

    @property
    def prefect_home(self) -> Path:
        """Where Prefect keeps its files."""
        return self._directory / "prefect"

    def ensure_database(self) -> str:
        """The URL of Fairlead's database; the embedded server is started when no URL is set. Prefect is not."""
        if self._settings.database_url is not None:
            return self._settings.database_url.get_secret_value()
        return self._postgres.ensure_running()

    def ensure_prefect(self) -> str:
        """Prefect's API URL, its server started when needed and healthy. Raises Unavailable, naming the log file."""
        with self._starting_alone(PREFECT):
            if not self._prefect_answers():
                self._start_prefect()
            return self._api_url()

    def environment(self) -> dict[str, str]:
        """What to set, before Prefect is imported, in a process that runs flows. `ensure_prefect` comes first."""
        return prefect_environment(self._api_url(), self.prefect_home)

    def up(self, *, runner: bool = True, reconciler: bool = True) -> str:
        """Start everything and wait until runs are being taken; Prefect's API URL."""
        url = self.ensure_prefect()
        self._retire_another_vintage()
        if reconciler:
            self._host.ensure_service(
                RECONCILER, reconciler_command(), self._service_environment(), self._log(RECONCILER)
            )
        if runner:
            self._ensure_runner()
        return url

    def down(self, *, grace: timedelta = timedelta(seconds=60)) -> list[str]:
        """Stop everything; what was stopped. Runs in progress are ended first, while they can still undo things."""
        stopped = [name for name in (RUNNER, RECONCILER) if self._host.service_is_running(name)]
        self._host.stop_service(RECONCILER)
        self.stop_runner()
        ended = self._end_runs(grace)
        return [*(f"service {name}" for name in stopped), *ended, *self._host.stop()]

    def stop_runner(self) -> None:
        """Take no more runs; those in progress go on, and Prefect's own workers may serve the pool."""
        self._host.stop_service(RUNNER)
        self._ready_file.unlink(missing_ok=True)

    def status(self) -> ControlPlaneStatus:
        """Look, without starting anything."""
        services = {name: self._host.service_is_running(name) for name in (PREFECT, RUNNER, RECONCILER)}
        if self._settings.database_url is None:
            services = {POSTGRES: self._host.service_is_running(POSTGRES), **services}
        return ControlPlaneStatus(
            services=services,
            prefect_url=self._api_url() if self._prefect_answers() else None,
            runs=len(self._claims.alive()),
        )

    # Prefect's server -------------------------------------------------------------------------------------------------

    def _start_prefect(self) -> None:
        """On the port of last time, or on another one when somebody else has that now."""
        database = self._prefect_database()
        for _ in range(PORT_ATTEMPTS):
            if not self._host.service_is_running(PREFECT):
                self._host.stop_service(PREFECT)
                self._choose_port()
            port = self._port()
            environment = service_environment(
                self._settings, server_environment(database, port=port, home=self.prefect_home)
            )
            self._host.ensure_service(PREFECT, server_command(port), environment, self._log(PREFECT))
            if self._wait_for_prefect(port):
                return
            self._host.stop_service(PREFECT)
        raise Unavailable(f"No port stayed free for Prefect's server in {PORT_ATTEMPTS} attempts.", remedy="Try again.")

    def _prefect_database(self) -> str:
        if self._settings.database_url is None:
            self._postgres.ensure_running()
            return self._postgres.prefect_url()
        return asynchronous(ensure_prefect_database(self._settings.database_url.get_secret_value()))

    def _wait_for_prefect(self, port: int) -> bool:
        """Until it is healthy; False when the port turns out to be another program's."""
        deadline = time.monotonic() + START_SECONDS
        while not self._prefect_answers():
            identity = self._host.service_identity(PREFECT)
            is_ours = identity is not None and listens(identity.pid, port)
            if not is_ours and is_answering(port):
                return False
            if time.monotonic() > deadline:
                raise self._late("Prefect's server did not become healthy", PREFECT)
            time.sleep(0.1)
        return True

    def _prefect_answers(self) -> bool:
        """Whether the server of this home, and no other one on its port, is healthy."""
        identity = self._host.service_identity(PREFECT)
        if identity is None or not self._port_file.exists():
            return False
        return listens(identity.pid, self._port()) and is_healthy(self._api_url())

    @property
    def _port_file(self) -> Path:
        return self._directory / "prefect.port"

    def _port(self) -> int:
        return int(self._port_file.read_text())

    def _choose_port(self) -> None:
        """Keep the last one while it is free: links that people saved stay good."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        last = self._port() if self._port_file.exists() else None
        port = free_port(preferred=last)
        if port != last:
            self._host.stop_service(RUNNER)  # it knows the old one
            self._port_file.write_text(str(port))

    def _api_url(self) -> str:
        return f"http://127.0.0.1:{self._port()}/api"

    # The warm runner --------------------------------------------------------------------------------------------------

    def _ensure_runner(self) -> None:
        with self._starting_alone(RUNNER):
            command = runner_command(self._directory / "runs", pool=POOL, limit=RUNS_AT_ONCE, ready=self._ready_file)
            environment = {**self._service_environment(), **self.environment()}
            self._host.ensure_service(RUNNER, command, environment, self._log(RUNNER))
            deadline = time.monotonic() + START_SECONDS
            while not self._runner_is_ready():
                if time.monotonic() > deadline:
                    raise self._late("The warm runner did not begin to take runs", RUNNER)
                time.sleep(0.05)

    def _runner_is_ready(self) -> bool:
        identity = self._host.service_identity(RUNNER)
        return identity is not None and self._ready_file.exists() and self._ready_file.read_text() == str(identity.pid)

    @property
    def _ready_file(self) -> Path:
        return self._directory / "runner.ready"

    def _retire_another_vintage(self) -> None:
        """Stop what was started with other code or settings. Runs in progress go on with what they began with."""
        present = vintage(PACKAGE_ROOT, settings_environment(self._settings))
        with self._starting_alone(RUNNER):
            if not self._vintage_file.exists() or self._vintage_file.read_text() != present:
                self._host.stop_service(RECONCILER)
                self.stop_runner()
                self._vintage_file.write_text(present)

    @property
    def _vintage_file(self) -> Path:
        return self._directory / "vintage"

    def _end_runs(self, grace: timedelta) -> list[str]:
        runs = self._claims.alive()
        for number, seconds in ((signal.SIGTERM, grace.total_seconds()), (signal.SIGKILL, 10.0)):
            self._signal_runs(number)
            deadline = time.monotonic() + seconds
            while self._claims.alive() and time.monotonic() < deadline:
                time.sleep(0.05)
        return [f"run {run.flow_run_id}" for run in runs]

    def _signal_runs(self, number: signal.Signals) -> None:
        for run in self._claims.alive():
            if run.pid is not None:
                try:
                    os.kill(run.pid, number)
                except ProcessLookupError:
                    continue

    # ------------------------------------------------------------------------------------------------------------------

    def _service_environment(self) -> dict[str, str]:
        return service_environment(self._settings, {})

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _late(self, what: str, service: str) -> Unavailable:
        log = self._log(service)
        tail = _last_lines(log, 8)
        return Unavailable(
            f"{what} within {START_SECONDS:.0f} s. The end of {log}:\n" + "\n".join(tail),
            remedy=f"Read {log}, then try again.",
        )

    @contextmanager
    def _starting_alone(self, name: str) -> Iterator[None]:
        """Two commands at once start one server."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._directory / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _last_lines(log: Path, count: int) -> Sequence[str]:
    try:
        return log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-count:]
    except OSError:
        return ["(there is no log yet)"]
