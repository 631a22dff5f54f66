"""Connections to PostgreSQL: few, short, and never waited for longer than a lease."""

from __future__ import annotations

import select
from datetime import timedelta

import psycopg
from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from deployments.domain.errors import Refused
from deployments.store.columns import to_json

LEASE = timedelta(seconds=6)
KEPT, AT_MOST = 10, 32
"""Connections kept open, and at most open at once."""
PATIENCE = 20
"""Seconds a thread waits for a connection."""
KEEPALIVE = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
EXAMPLE = "postgresql://user@host:5432/fairlead"


def make_engine(url: str, *, lease: timedelta = LEASE) -> Engine:
    """An engine for a PostgreSQL address; `lease` bounds how long it waits for a lock and holds an idle transaction.

    Raises Refused when the address is not one of PostgreSQL.
    """
    address = read_address(url)
    wanted = address.query.get("options", "")
    options = " ".join([wanted if isinstance(wanted, str) else " ".join(wanted), *_session_settings(lease)]).strip()
    engine = create_engine(
        address.difference_update_query(["options"]),
        pool_size=KEPT,
        max_overflow=AT_MOST - KEPT,
        pool_timeout=PATIENCE,
        json_serializer=to_json,
        connect_args={**KEEPALIVE, "application_name": "fairlead", "options": options},
    )
    event.listen(engine, "checkout", _refuse_closed)
    return engine


def read_address(url: str) -> URL:
    """The address with psycopg as its driver. Raises Refused."""
    try:
        address = make_url(url)
    except ArgumentError as error:
        raise Refused("The database URL cannot be read.", remedy=f"Write it like {EXAMPLE}.") from error
    if address.get_backend_name() not in ("postgresql", "postgres"):
        raise Refused(
            f"The database URL names {address.get_backend_name()}; records are kept in PostgreSQL only.",
            remedy=f"Set FAIRLEAD_DATABASE_URL to one like {EXAMPLE}.",
        )
    return address.set(drivername="postgresql+psycopg")


def address_of(engine: Engine) -> str:
    """Where the database is, for people; without its password."""
    host = engine.url.host or engine.url.query.get("host") or "localhost"
    port = f":{engine.url.port}" if engine.url.port else ""
    return f"{host}{port}/{engine.url.database or ''}"


def _refuse_closed(connection: DBAPIConnection, record: ConnectionPoolEntry, proxy: PoolProxiedConnection) -> None:
    """Let the pool replace a connection that the server has closed, after its restart for instance.

    A server says nothing on an idle connection until it closes it, so one that can be read from is at its end. Looking
    costs no round trip, as a ping would; a peer that vanished without a word is left to the timeouts of TCP.
    """
    watch = select.poll()
    try:
        watch.register(connection.fileno(), select.POLLIN)
    except psycopg.OperationalError as error:
        raise DisconnectionError("this connection is closed") from error
    if watch.poll(0):
        raise DisconnectionError("the server has closed this connection")


def _session_settings(lease: timedelta) -> list[str]:
    """A writer that stalls is cut off before its lease is over; so is one that waits for a lock."""
    milliseconds = lease / timedelta(milliseconds=1)
    settings = {
        "lock_timeout": int(milliseconds / 2),
        "idle_in_transaction_session_timeout": int(milliseconds * 2 / 3),
        "statement_timeout": 30_000,
        "TimeZone": "UTC",
    }
    return [f"-c {name}={value}" for name, value in settings.items()]
