"""One writer per environment, fenced. Time is the database's; fences only grow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from deployments.domain.errors import LeaseHeld, NotFound
from deployments.domain.status import DeploymentStatus
from deployments.store.tables import NOW, deployments, environments, leases
from deployments.store.transactions import Lease, Scope, lost

__all__ = ["Lease", "Leases", "Undriven"]


@dataclass(frozen=True, slots=True)
class Undriven:
    """A deployment that is not final while nobody holds its environment's lease, `since` when."""

    environment: str
    deployment: str
    status: DeploymentStatus
    since: datetime


WAITING = (DeploymentStatus.PENDING, DeploymentStatus.QUEUED)
"""States of a deployment that has not had the lease yet."""
IS_LIVE = and_(leases.c.owner.is_not(None), leases.c.expires_at > NOW, leases.c.expires_at <= NOW + leases.c.ttl)
"""Somebody holds it. One with more time left than it ever had was taken before the database's clock was set back."""


class Leases:
    """The right to write, per environment."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def acquire(self, environment: str, owner: str, ttl: timedelta, *, minimum_fence: int = 0) -> Lease:
        """Take a free or expired lease with fence max(stored, minimum_fence) + 1.

        Waits for transactions of the former holder that are under way. Asking again under the same owner gives a new
        fence, so that an answer that was lost costs nothing. Raises LeaseHeld naming holder and expiry, or NotFound.
        """
        with self._scope.writing() as connection:
            row = _lock(connection, environment)
            if row.is_live and row.owner != owner:
                raise LeaseHeld(
                    f"{environment} is being changed by {row.owner},"
                    f" until {row.expires_at:%H:%M:%S} UTC unless renewed.",
                    remedy="Wait for it, or cancel it: see `fairlead status`.",
                    environment=environment,
                    holder=row.owner,
                    expires_at=row.expires_at,
                    fence=row.fence,
                )
            return _take(connection, row, owner, ttl, minimum_fence)

    def take_over(self, environment: str, owner: str, ttl: timedelta, *, minimum_fence: int = 0) -> Lease:
        """Take the lease whoever holds it, with a higher fence: from a holder that did not obey in time."""
        with self._scope.writing() as connection:
            return _take(connection, _lock(connection, environment), owner, ttl, minimum_fence)

    def refence(self, lease: Lease, *, minimum_fence: int = 0) -> Lease:
        """Change one's own fence for a higher one (the data plane has seen one). Raises LeaseLost.

        Asking again with the former lease gives a higher one still, so that an answer that was lost costs nothing: no
        two holders have one owner's name.
        """
        with self._scope.writing() as connection:
            row = _lock(connection, lease.environment)
            if row.owner != lease.owner:
                raise lost(connection, lease)
            return _take(connection, row, lease.owner, lease.ttl, minimum_fence)

    def renew(self, lease: Lease) -> Lease:
        """Start its time again. Raises LeaseLost when it was taken, or had expired already."""
        renewal = (
            update(leases)
            .where(*_is_mine(lease), leases.c.expires_at > NOW)
            .values(expires_at=NOW + lease.ttl)
            .returning(leases.c.expires_at)
        )
        with self._scope.writing() as connection:
            expires_at = connection.scalar(renewal)
            if expires_at is None:
                raise lost(connection, lease)
        return Lease(lease.environment, lease.owner, lease.fence, lease.ttl, expires_at)

    def release(self, lease: Lease) -> bool:
        """Give it back; False when it was somebody else's already, which is fine."""
        giving = update(leases).where(*_is_mine(lease)).values(owner=None, expires_at=NOW)
        with self._scope.writing() as connection:
            return connection.execute(giving).rowcount == 1

    def check(self, lease: Lease) -> None:
        """Raise LeaseLost unless it is held now."""
        with self._scope.writing(lease):
            pass

    def holder(self, environment: str) -> Lease | None:
        """Who holds it now; None when nobody does."""
        query = select(leases).where(leases.c.environment == environment, IS_LIVE)
        with self._scope.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Lease(row.environment, row.owner, row.fence, row.ttl, row.expires_at)

    def undriven(self, silent_for: timedelta = timedelta(0)) -> list[Undriven]:
        """Deployments that are not final and that nobody drives, oldest first.

        One that is under way is here as soon as its environment's lease is over, for its writer can write no more, and
        the next holder must not begin before it is dealt with. One that waits for the lease holds none: it is here when
        nobody took the free lease for `silent_for`, counted from the end of the last lease or its own last change.
        """
        waits = deployments.c.status.in_([status.value for status in WAITING])
        silent_since = func.greatest(deployments.c.updated_at, leases.c.expires_at)
        query = (
            select(deployments.c.environment, deployments.c.id, deployments.c.status, silent_since.label("since"))
            .select_from(deployments.outerjoin(leases, leases.c.environment == deployments.c.environment))
            .where(
                deployments.c.finished_at.is_(None),
                ~IS_LIVE,
                or_(~waits, silent_since <= NOW - silent_for),
            )
            .order_by(deployments.c.created_at, deployments.c.id)
        )
        with self._scope.reading() as connection:
            rows = connection.execute(query).all()
        return [Undriven(row.environment, row.id, DeploymentStatus(row.status), row.since) for row in rows]


def _is_mine(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return (
        leases.c.environment == lease.environment,
        leases.c.owner == lease.owner,
        leases.c.fence == lease.fence,
    )


def _lock(connection: Connection, environment: str) -> Row[tuple[object, ...]]:
    """The lease's row, made if needed, locked against writers and other takers."""
    query = select(leases, IS_LIVE.label("is_live")).where(leases.c.environment == environment).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        if connection.scalar(select(environments.c.name).where(environments.c.name == environment)) is None:
            raise NotFound(
                f"There is no environment named {environment}.",
                remedy="Make it with `fairlead environment apply FILE`.",
            )
        connection.execute(insert(leases).values(environment=environment).on_conflict_do_nothing())
        row = connection.execute(query).one()
    return row


def _take(
    connection: Connection, row: Row[tuple[object, ...]], owner: str, ttl: timedelta, minimum_fence: int
) -> Lease:
    taking = (
        update(leases)
        .where(leases.c.environment == row.environment)
        .values(
            owner=owner,
            fence=func.greatest(leases.c.fence, minimum_fence) + 1,
            ttl=ttl,
            acquired_at=NOW,
            expires_at=NOW + ttl,
        )
        .returning(leases)
    )
    taken = connection.execute(taking).one()
    return Lease(taken.environment, taken.owner, taken.fence, taken.ttl, taken.expires_at)
