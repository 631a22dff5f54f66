"""Brings the tables up to date. Safe to run at any time, by any number of processes at once."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, Text, column, func, select, table, text, update
from sqlalchemy.schema import CreateSchema

from deployments.store.engine import address_of, make_engine
from deployments.store.failures import database_failures
from deployments.store.tables import SCHEMA, events

HEAD = "0001"
"""The newest migration; known here so that an up-to-date database costs one query and no import of Alembic."""
VERSION_TABLE = "schema_version"
MIGRATIONS = Path(__file__).parent / "migrations"
ONE_AT_A_TIME = 0x464C_0001
"""Key of the advisory lock that migrations take."""
LONGEST_WAIT = "5min"


def migrate(database: str | Engine) -> None:
    """Create or upgrade the tables. Raises DatabaseUnavailable, or Broken when they are newer than this program."""
    engine = make_engine(database) if isinstance(database, str) else database
    try:
        with database_failures(address_of(engine)):
            if present_version(engine) != HEAD:
                _upgrade(engine)
            with engine.begin() as connection:
                _number_restored_events(connection)
    finally:
        if isinstance(database, str):
            engine.dispose()


def present_version(engine: Engine) -> str | None:
    """The newest migration this database has seen; None before the first."""
    with engine.connect() as connection:
        return _present_version(connection)


def _present_version(connection: Connection) -> str | None:
    if connection.scalar(text("SELECT to_regclass(:table)"), {"table": f"{SCHEMA}.{VERSION_TABLE}"}) is None:
        return None
    versions = connection.scalars(select(column("version_num", Text)).select_from(table(VERSION_TABLE, schema=SCHEMA)))
    return versions.one_or_none()


def _upgrade(engine: Engine) -> None:
    """One transaction: all migrations, or none. A second process waits, and then finds nothing left to do."""
    from alembic import command  # noqa: PLC0415 - 0.2 s that an up-to-date database does not cost
    from alembic.config import Config  # noqa: PLC0415

    with engine.begin() as connection:
        for setting in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
            connection.execute(select(func.set_config(setting, LONGEST_WAIT, True)))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ONE_AT_A_TIME})
        if _present_version(connection) == HEAD:
            return
        connection.execute(CreateSchema(SCHEMA, if_not_exists=True))
        configuration = Config(attributes={"connection": connection})
        configuration.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        command.upgrade(configuration, "head")


def _number_restored_events(connection: Connection) -> None:
    """Give events restored from a dump of another server a transaction that is over here.

    Events become visible to followers when their transaction is known to be over; numbers of another server may lie in
    the future of this one. Their order stays as it was by sequence.
    """
    is_of_the_future = events.c.transaction >= func.pg_snapshot_xmax(func.pg_current_snapshot())
    connection.execute(update(events).where(is_of_the_future).values(transaction="0"))
