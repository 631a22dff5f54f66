"""Migrations: shipped, complete, and safe when several processes run them at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text
from sqlalchemy.dialects.postgresql.base import PGDialect

from deployments.domain.errors import DatabaseUnavailable, Refused
from deployments.store.engine import make_engine
from deployments.store.migrate import HEAD, MIGRATIONS, migrate, present_version
from deployments.store.tables import SCHEMA, TransactionId, metadata


@contextmanager
def engine_of(url: str) -> Iterator[Engine]:
    engine = make_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def test_the_tables_after_all_migrations_are_those_of_the_code(
    fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PGDialect.ischema_names, "xid8", TransactionId)
    with engine_of(fresh_database_url) as engine, engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "compare_type": True,
                "compare_server_default": False,
                "include_name": lambda name, kind, _: kind != "schema" or name == SCHEMA,
                "version_table": "schema_version",
                "version_table_schema": SCHEMA,
            },
        )
        differences = compare_metadata(context, metadata)
    assert differences == []


def test_the_newest_migration_is_the_one_the_code_names() -> None:
    configuration = Config()
    configuration.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(configuration).get_heads() == [HEAD]


def test_several_at_once_end_with_one_set_of_tables(empty_database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate, [empty_database_url] * 4))
    with engine_of(empty_database_url) as engine:
        assert present_version(engine) == HEAD


def test_twice_changes_nothing(fresh_database_url: str) -> None:
    migrate(fresh_database_url)
    migrate(fresh_database_url)


def test_a_database_shared_with_other_tables_keeps_them(empty_database_url: str) -> None:
    with engine_of(empty_database_url) as engine:
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE events (id int)"))
            connection.execute(text("INSERT INTO events VALUES (7)"))
        migrate(engine)
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT id FROM public.events")) == 7


def test_a_server_that_is_away_is_named_with_the_remedy() -> None:
    with pytest.raises(DatabaseUnavailable, match=r"127\.0\.0\.1:1/.*fairlead up") as caught:
        migrate("postgresql://postgres@127.0.0.1:1/fairlead")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["sqlite:///records.db", "mysql://root@localhost/x", "not a url"])
def test_only_postgresql_addresses_are_accepted(url: str) -> None:
    with pytest.raises(Refused, match=r"postgresql://"):
        migrate(url)
