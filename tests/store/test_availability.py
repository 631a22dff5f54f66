"""A database that is away, slow, full or cut off: the right family, the remedy, and nothing half written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from psycopg import sql

from deployments.domain.errors import Broken, DatabaseUnavailable, DiskFull, NotFound, Unavailable
from deployments.domain.status import DeploymentStatus
from deployments.store.records import Records
from tests.fakes.database import PostgresServer, postgres_server
from tests.store.conftest import LONG, Held, open_deployment

PATIENCE = 60.0
SHORT = timedelta(milliseconds=400)


@pytest.fixture
def impatient(database_url: str) -> Iterator[Records]:
    """Records that wait for a lock, and hold an idle transaction, for a moment only."""
    with Records(database_url, lease=SHORT) as store:
        yield store


@pytest.fixture
def apart() -> Iterator[PostgresServer]:
    """A server that may be stopped."""
    with postgres_server() as server:
        yield server


def test_records_outlive_a_restart_of_the_database(apart: PostgresServer) -> None:
    with Records(apart.url("postgres")) as records:
        records.migrate()
        records.environments.ensure_default("stage", project="shop", principal="ada")
        lease = records.leases.acquire("stage", "writer", LONG)
        opened = open_deployment(records, "stage")
        apart.stop()
        with pytest.raises(DatabaseUnavailable, match=r"fl-pg-.*fairlead up") as caught:
            records.journal.intend(lease, opened.id, "start:a", {})
        assert isinstance(caught.value, Unavailable)
        with pytest.raises(DatabaseUnavailable):
            records.check()
        apart.start()
        records.check()
        records.journal.intend(lease, opened.id, "start:a", {})
        assert [entry.key for entry in records.journal.entries(opened.id)] == ["start:a"]


def test_a_connection_that_is_cut_within_a_transaction_leaves_nothing(held: Held, database_url: str) -> None:
    def work() -> None:
        with held.records.unit_of_work(held.lease) as unit:
            unit.journal.intend(held.lease, held.deployment, "start:a", {})
            cut_everybody(database_url)
            unit.journal.intend(held.lease, held.deployment, "start:b", {})

    with pytest.raises(DatabaseUnavailable):
        work()
    assert held.records.journal.entries(held.deployment) == []


def test_a_writer_that_stalls_within_a_transaction_is_cut_off(
    held: Held, impatient: Records, database_url: str
) -> None:
    def work() -> None:
        with impatient.unit_of_work(held.lease) as unit:
            unit.journal.intend(held.lease, held.deployment, "start:a", {})
            wait_until_nobody_is_idle_in_a_transaction(database_url)
            unit.journal.receipt(held.lease, held.deployment, "start:a", {})

    with pytest.raises(DatabaseUnavailable):
        work()
    assert held.records.journal.entries(held.deployment) == []


def test_a_lock_is_not_waited_for_longer_than_a_lease(held: Held, impatient: Records) -> None:
    def write_beside() -> None:
        with held.records.unit_of_work() as unit:
            unit.leases.take_over(held.environment, "taker", LONG)
            impatient.journal.intend(held.lease, held.deployment, "start:a", {})

    with pytest.raises(DatabaseUnavailable, match="lock timeout"):
        write_beside()
    assert held.records.journal.entries(held.deployment) == []


def test_a_full_disk_is_named_and_nothing_is_half_done(fresh_database_url: str) -> None:
    with Records(fresh_database_url) as records:
        records.environments.ensure_default("stage", project="shop", principal="ada")
        lease = records.leases.acquire("stage", "writer", LONG)
        opened = open_deployment(records, "stage")
        fill_the_disk(fresh_database_url)
        with pytest.raises(DiskFull, match="full"):
            records.deployments.advance(lease, opened.id, DeploymentStatus.QUEUED)
        assert records.deployments.get(opened.id) == opened


def test_a_database_without_tables_is_broken_and_says_what_to_do(empty_database_url: str) -> None:
    with Records(empty_database_url) as records:
        with pytest.raises(Broken, match="fairlead up"):
            records.check()
        with pytest.raises(Broken, match="fairlead up"):
            records.environments.names()
        records.migrate()
        records.check()
        assert records.environments.names() == []


def test_a_password_is_not_in_the_message() -> None:
    with (
        Records("postgresql://ada:secret-word@127.0.0.1:1/fairlead") as records,
        pytest.raises(DatabaseUnavailable, match=r"127\.0\.0\.1:1/fairlead") as caught,
    ):
        records.environments.names()
    assert "secret-word" not in str(caught.value)


def test_an_error_of_our_own_within_a_transaction_stays_what_it_is(held: Held) -> None:
    def work() -> None:
        with held.records.unit_of_work(held.lease) as unit:
            unit.deployments.get("nowhere")

    with pytest.raises(NotFound):
        work()


def libpq(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://")


def cut_everybody(url: str) -> None:
    with psycopg.connect(libpq(url), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def wait_until_nobody_is_idle_in_a_transaction(url: str) -> None:
    deadline = time.monotonic() + PATIENCE
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
    )
    with psycopg.connect(libpq(url), autocommit=True) as connection:
        while connection.execute(query).fetchone() != (0,):
            assert time.monotonic() < deadline, "the stalled writer was not cut off"
            time.sleep(0.02)


def fill_the_disk(url: str) -> None:
    """From now on the server answers a write of an event as it does when its disk is full."""
    with psycopg.connect(libpq(url), autocommit=True) as connection:
        connection.execute(
            sql.SQL(
                "CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                " RAISE SQLSTATE '53100' USING MESSAGE = 'could not extend file \"base/1\": No space left on device';"
                " END $$"
            )
        )
        connection.execute("CREATE TRIGGER no_space BEFORE INSERT ON fairlead.events EXECUTE FUNCTION no_space()")
