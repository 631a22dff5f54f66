"""Revisions that were rolled back in an environment, refused there until someone lifts them with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, func, select, update
from sqlalchemy.dialects.postgresql import insert

from deployments.domain.errors import NotFound, Refused
from deployments.domain.events import SecurityEvent, SecurityEventKind
from deployments.store.events import append, correlation_of
from deployments.store.tables import NOW, quarantine
from deployments.store.transactions import Lease, Scope


@dataclass(frozen=True, slots=True)
class QuarantinedRevision:
    """One revision, why it is quarantined, and the deployment that brought it."""

    environment: str
    revision: str
    service: str
    reason: str
    deployment: str | None
    since: datetime


class Quarantine:
    """Quarantined revisions per environment."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def add(self, lease: Lease, *, revision: str, service: str, reason: str, deployment: str | None = None) -> None:
        """Quarantine a revision in the lease's environment; one that is quarantined already stays so."""
        row = insert(quarantine).values(
            environment=lease.environment, revision=revision, service=service, reason=reason, deployment=deployment
        )
        with self._scope.writing(lease) as connection:
            added = connection.execute(row.on_conflict_do_nothing().returning(quarantine.c.since)).one_or_none()
            if added is None:
                return
            event = SecurityEvent(
                kind=SecurityEventKind.QUARANTINED,
                principal=lease.owner,
                environment=lease.environment,
                correlation_id=correlation_of(connection, deployment) if deployment else revision,
                source=self._scope.source,
                at=added.since,
                deployment=deployment,
                message=f"{service} {revision} is quarantined: {reason}",
                data={"revision": revision, "service": service},
            )
            append(connection, [event])

    def lift(self, environment: str, revision: str, *, by: str, reason: str) -> None:
        """Let the revision be deployed again. Raises Refused without a reason, NotFound when it is not quarantined."""
        if not reason.strip():
            raise Refused("A quarantine is lifted with a reason.", remedy="Say what has changed since the rollback.")
        lifting = (
            update(quarantine)
            .where(
                quarantine.c.environment == environment,
                quarantine.c.revision == revision,
                quarantine.c.lifted_at.is_(None),
            )
            .values(lifted_at=NOW, lifted_by=by, lift_reason=reason)
            .returning(quarantine.c.service, quarantine.c.deployment, quarantine.c.lifted_at)
        )
        with self._scope.writing() as connection:
            row = connection.execute(lifting).one_or_none()
            if row is None:
                raise NotFound(
                    f"The revision {revision} is not quarantined in {environment}.",
                    remedy="`fairlead status` lists quarantined revisions.",
                )
            event = SecurityEvent(
                kind=SecurityEventKind.QUARANTINE_LIFTED,
                principal=by,
                environment=environment,
                correlation_id=correlation_of(connection, row.deployment) if row.deployment else revision,
                source=self._scope.source,
                at=row.lifted_at,
                deployment=row.deployment,
                message=f"{by} lifted the quarantine of {row.service} {revision}: {reason}",
                data={"revision": revision, "service": row.service},
            )
            append(connection, [event])

    def active(self, environment: str) -> Mapping[str, QuarantinedRevision]:
        """By revision: what is quarantined in an environment now."""
        query = select(quarantine).where(quarantine.c.environment == environment, quarantine.c.lifted_at.is_(None))
        with self._scope.reading() as connection:
            return {row.revision: _to_entry(row) for row in connection.execute(query.order_by(quarantine.c.id))}

    def count(self, environment: str) -> int:
        """How many revisions are quarantined in an environment."""
        query = select(func.count()).where(quarantine.c.environment == environment, quarantine.c.lifted_at.is_(None))
        with self._scope.reading() as connection:
            return connection.scalar(query) or 0


def _to_entry(row: Row[tuple[object, ...]]) -> QuarantinedRevision:
    return QuarantinedRevision(
        environment=row.environment,
        revision=row.revision,
        service=row.service,
        reason=row.reason,
        deployment=row.deployment,
        since=row.since,
    )
