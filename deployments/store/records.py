"""All records: the way in to the store. One object for a process, used by all its threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Self

from sqlalchemy import Engine

from deployments.domain.errors import Broken
from deployments.domain.events import Source
from deployments.store.commands import Commands
from deployments.store.deployments import Deployments
from deployments.store.engine import LEASE, make_engine
from deployments.store.environments import Environments
from deployments.store.events import Events
from deployments.store.failures import database_failures
from deployments.store.instances import Instances
from deployments.store.journal import Journal
from deployments.store.leases import Leases
from deployments.store.migrate import HEAD, migrate, present_version
from deployments.store.quarantine import Quarantine
from deployments.store.queries import Queries
from deployments.store.releases import Releases
from deployments.store.resources import Resources
from deployments.store.routes import Routes
from deployments.store.stables import Stables
from deployments.store.transactions import EachCall, Lease, OneTransaction, Scope


class Repositories:
    """One repository for each kind of thing that is remembered."""

    def __init__(self, scope: Scope) -> None:
        self.environments = Environments(scope)
        self.leases = Leases(scope)
        self.deployments = Deployments(scope)
        self.journal = Journal(scope)
        self.events = Events(scope)
        self.commands = Commands(scope)
        self.stables = Stables(scope)
        self.instances = Instances(scope)
        self.routes = Routes(scope)
        self.resources = Resources(scope)
        self.releases = Releases(scope)
        self.quarantine = Quarantine(scope)
        self.queries = Queries(scope)


class Records(Repositories):
    """The store. Every call is a short transaction of its own; `unit_of_work` makes several calls one."""

    def __init__(self, database: str | Engine, *, source: Source = Source.DRIVER, lease: timedelta = LEASE) -> None:
        """`database` is a PostgreSQL address; nothing is connected yet. `source` is named in the store's own events."""
        self._engine = make_engine(database, lease=lease) if isinstance(database, str) else database
        self._scope = EachCall(self._engine, source)
        super().__init__(self._scope)

    @property
    def address(self) -> str:
        """Where the database is, for people; without its password."""
        return self._scope.address

    def migrate(self) -> None:
        """Bring the tables up to date."""
        migrate(self._engine)

    def check(self) -> None:
        """Raise DatabaseUnavailable unless the database answers, Broken unless its tables are of this version."""
        with database_failures(self.address):
            found = present_version(self._engine)
        if found != HEAD:
            raise Broken(
                f"The tables at {self.address} are of version {found or 'none'}, not {HEAD}.",
                remedy="Bring them up to date: `fairlead up` does.",
                address=self.address,
            )

    @contextmanager
    def unit_of_work(self, lease: Lease | None = None) -> Iterator[Repositories]:
        """All calls on the repositories given are one transaction, committed when the block ends. For one thread."""
        with self._scope.writing(lease) as connection:
            yield Repositories(OneTransaction(connection, self._scope.source, lease))

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
