"""How repositories reach the database: a transaction for each call, or one for all calls of a unit of work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import Connection, Engine, select

from deployments.domain.errors import LeaseLost
from deployments.domain.events import Source
from deployments.store.engine import address_of
from deployments.store.failures import database_failures
from deployments.store.tables import NOW, leases


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write one environment, until `expires_at` in database time, known by its `fence`."""

    environment: str
    owner: str
    fence: int
    ttl: timedelta
    expires_at: datetime


class Scope(Protocol):
    """Where a repository's statements run."""

    source: Source
    """Named in the events that the store itself appends."""

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection to read from."""

    def alone(self) -> AbstractContextManager[Connection]:
        """A connection for one statement, which is a transaction by itself."""

    def writing(self, lease: Lease | None = None) -> AbstractContextManager[Connection]:
        """A connection in a transaction; with a lease, its row is locked first, or LeaseLost raised."""


class EachCall:
    """A short transaction for each call. May be used by many threads at once."""

    def __init__(self, engine: Engine, source: Source) -> None:
        self.engine, self.source = engine, source
        self.address = address_of(engine)
        self._autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """No transaction: each statement sees what was committed when it began."""
        with database_failures(self.address), self._autocommit.connect() as connection:
            yield connection

    def alone(self) -> AbstractContextManager[Connection]:
        """Committed when the statement ends: no round trips to begin and to commit."""
        return self.reading()

    @contextmanager
    def writing(self, lease: Lease | None = None) -> Iterator[Connection]:
        """Commit when the block ends, roll back when it raises."""
        with database_failures(self.address), self.engine.begin() as connection:
            if lease is not None:
                lock_lease(connection, lease)
            yield connection


class OneTransaction:
    """All calls share one transaction and one lease. For one thread."""

    def __init__(self, connection: Connection, source: Source, lease: Lease | None) -> None:
        self.source = source
        self._connection, self._lease = connection, lease

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """The transaction itself: it sees what it wrote."""
        yield self._connection

    def alone(self) -> AbstractContextManager[Connection]:
        """The transaction itself."""
        return self.reading()

    @contextmanager
    def writing(self, lease: Lease | None = None) -> Iterator[Connection]:
        """The transaction itself. A lease other than the one it holds is locked too."""
        if lease is not None and lease != self._lease:
            lock_lease(self._connection, lease)
        yield self._connection


def lock_lease(connection: Connection, lease: Lease) -> None:
    """Keep the lease from being taken until this transaction is over. Raises LeaseLost when it is not held any more.

    FOR KEY SHARE: any number of writers and the holder's own renewals go on side by side, while a taker, who asks FOR
    UPDATE, waits for the writers that were in time and then sees all they wrote. A writer that comes late, after a long
    stop, finds another fence or an expiry that is past, and writes nothing.
    """
    is_held = (
        select(leases.c.fence)
        .where(
            leases.c.environment == lease.environment,
            leases.c.owner == lease.owner,
            leases.c.fence == lease.fence,
            leases.c.expires_at > NOW,
        )
        .with_for_update(read=True, key_share=True)
    )
    if connection.scalar(is_held) is None:
        raise lost(connection, lease)


def lost(connection: Connection, lease: Lease) -> LeaseLost:
    """The error, with who holds the lease now."""
    row = connection.execute(
        select(leases.c.owner, leases.c.fence).where(leases.c.environment == lease.environment)
    ).one_or_none()
    holder = "it expired" if row is None or row.owner in (None, lease.owner) else f"{row.owner} holds it now"
    return LeaseLost(
        f"The lease of {lease.environment} (fence {lease.fence}) is lost: {holder}.",
        remedy="Whoever holds the lease goes on with the deployment; see `fairlead status`.",
        environment=lease.environment,
        fence=lease.fence,
        holder=None if row is None else row.owner,
        present_fence=None if row is None else row.fence,
    )
