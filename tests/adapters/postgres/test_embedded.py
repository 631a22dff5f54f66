"""The embedded PostgreSQL, for real: as root under another user, or as ourselves."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psycopg
import pytest
from sqlalchemy import create_engine, text

from deployments.adapters.postgres import EmbeddedPostgres
from deployments.adapters.postgres.embedded import SERVICE
from deployments.adapters.supervisor import ProcessHost
from deployments.domain.errors import DatabaseUnavailable, Refused
from tests.adapters.supervisor.worlds import wait_until


class Server:
    """An embedded server and its host in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.host = ProcessHost(directory / "s", directory / "r")
        self.postgres = self.again()

    def again(self) -> EmbeddedPostgres:
        """As another command would see it."""
        return EmbeddedPostgres(self.host, self.directory / "s", self.directory / "r", is_durable=False)

    def pid(self) -> int:
        identity = self.host.service_identity(SERVICE)
        return identity.pid if identity else 0

    def end(self) -> None:
        self.postgres.remove()
        self.host.stop()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One for all tests of this file; its directory is private, so root cannot use it for another user."""
    directory = Path(tempfile.mkdtemp(prefix="fl-", dir="/tmp"))
    server = Server(directory)
    try:
        server.postgres.ensure_running()
        yield server
    finally:
        server.end()
        shutil.rmtree(directory, ignore_errors=True)


def test_its_url_works_with_sqlalchemy(server: Server) -> None:
    engine = create_engine(server.postgres.ensure_running())
    try:
        with engine.connect() as connection:
            assert connection.execute(text("select current_database()")).scalar_one() == "fairlead"
            connection.execute(text("create extension if not exists pg_trgm"))
    finally:
        engine.dispose()


def test_prefects_url_works_with_asyncpg(server: Server) -> None:
    url = server.postgres.prefect_url().replace("+asyncpg", "")

    async def ask() -> str:
        connection = await asyncpg.connect(url)
        try:
            return str(await connection.fetchval("select current_database()"))
        finally:
            await connection.close()

    assert asyncio.run(ask()) == "prefect"


def test_starting_again_finds_the_same_server(server: Server) -> None:
    pid = server.pid()
    assert server.again().ensure_running() == server.postgres.url("fairlead")
    assert server.pid() == pid


def test_it_listens_on_no_tcp_port_and_its_socket_is_private(server: Server) -> None:
    with psycopg.connect(server.postgres.libpq_url("fairlead")) as connection:
        row = connection.execute(
            "select current_setting('listen_addresses'), current_setting('unix_socket_directories')"
        ).fetchone()
    assert row is not None
    assert row[0] == ""
    assert stat.S_IMODE(Path(row[1]).stat().st_mode) == 0o700


def test_root_runs_it_as_another_user(server: Server) -> None:
    owner = Path(f"/proc/{server.pid()}").stat().st_uid
    assert owner != 0
    if os.geteuid() != 0:
        assert owner == os.geteuid()


def test_a_database_is_made_once_and_dropped(server: Server) -> None:
    url = server.postgres.ensure_database("orders")
    assert server.postgres.ensure_database("orders") == url
    assert server.postgres.has_database("orders")
    server.postgres.drop_database("orders")
    server.postgres.drop_database("orders")
    assert not server.postgres.has_database("orders")


def test_a_name_that_is_no_database_name_is_refused(server: Server) -> None:
    with pytest.raises(Refused, match="no database name"):
        server.postgres.ensure_database('x"; drop')


def test_a_crashed_server_is_restarted_with_what_was_committed(server: Server) -> None:
    with psycopg.connect(server.postgres.libpq_url("fairlead")) as connection:
        connection.execute("create table kept (n int)")
        connection.execute("insert into kept values (42)")
    os.kill(server.pid(), signal.SIGKILL)
    wait_until(lambda: server.postgres.is_running() and answer(server) == 42, "its next life")
    with psycopg.connect(server.postgres.libpq_url("fairlead")) as connection:
        connection.execute("drop table kept")


def answer(server: Server) -> int | None:
    try:
        with psycopg.connect(server.postgres.libpq_url("fairlead")) as connection:
            row = connection.execute("select n from kept").fetchone()
    except psycopg.OperationalError:
        return None
    return int(row[0]) if row else None


def test_it_stops_in_order_and_starts_again_with_its_data(server: Server) -> None:
    with psycopg.connect(server.postgres.libpq_url("fairlead")) as connection:
        connection.execute("create table kept as select 42 as n")
    log = server.directory / "s" / "logs" / "postgres.log"
    server.postgres.stop()
    assert "database system is shut down" in log.read_text().splitlines()[-1]
    with pytest.raises(DatabaseUnavailable):
        server.postgres.ensure_database("orders")
    server.postgres.ensure_running()
    assert answer(server) == 42
    with psycopg.connect(server.postgres.libpq_url("fairlead")) as connection:
        connection.execute("drop table kept")


def test_a_lock_file_with_the_pid_of_another_program_does_not_keep_it_from_starting(server: Server) -> None:
    server.postgres.stop()
    lock = server.postgres._place.data / "postmaster.pid"
    stranger = subprocess.Popen(["sleep", "1000"], **server.postgres._as_owner())
    try:
        lock.write_text(f"{stranger.pid}\n{lock.parent}\n")
        server.postgres.ensure_running()
    finally:
        stranger.kill()
        stranger.wait()


def test_two_starters_at_once_start_one_server(server: Server) -> None:
    server.postgres.stop()
    code = (
        "import sys; from pathlib import Path; from deployments.adapters.postgres import EmbeddedPostgres\n"
        "from deployments.adapters.supervisor import ProcessHost\n"
        "state, run = map(Path, sys.argv[1:]); host = ProcessHost(state, run)\n"
        "EmbeddedPostgres(host, state, run, is_durable=False).ensure_running()\n"
        "print(host.service_identity('postgres').pid)\n"
    )
    command = [sys.executable, "-c", code, str(server.directory / "s"), str(server.directory / "r")]
    starters = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    pids = {starter.communicate(timeout=180)[0].strip() for starter in starters}
    assert pids == {str(server.pid())}


def test_directories_that_others_may_pass_are_used_by_root_too() -> None:
    directory = Path(tempfile.mkdtemp(prefix="fl-", dir="/tmp"))
    for path in (directory, directory / "s", directory / "r"):
        path.mkdir(exist_ok=True)
        path.chmod(0o711)
    server = Server(directory)
    try:
        server.postgres.ensure_running()
        assert (directory / "s" / "postgres" / "data" / "PG_VERSION").exists()
        assert f"host={directory}/r/postgres" in server.postgres.url("x")
        assert stat.S_IMODE((directory / "s").stat().st_mode) == 0o711
    finally:
        server.end()
        shutil.rmtree(directory, ignore_errors=True)


def test_a_server_that_cannot_start_says_why() -> None:
    directory = Path(tempfile.mkdtemp(prefix="fl-", dir="/tmp"))
    server = Server(directory)
    try:
        server.postgres._place.make()
        server.postgres._place.data.mkdir()
        server.postgres._place.data.chmod(0o777)
        with pytest.raises(DatabaseUnavailable, match="did not start"):
            server.postgres.ensure_running()
    finally:
        server.end()
        shutil.rmtree(directory, ignore_errors=True)
