"""What happened, appended and never changed.

Sequence numbers are given when an event is written, not when it is committed: a slow transaction may commit number 7
after a fast one committed 8, and a follower that remembered "up to 8" would never see 7. So each event also carries the
number of its transaction, followers read in the order (transaction, sequence), and they see an event only when every
transaction up to its own is over. What they have read is then complete, and the last event's sequence is all that they
need to remember. Other transactions of the server that take long delay followers, and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, Row, Select, exists, func, insert, literal, select, tuple_

from deployments.domain.errors import NotFound
from deployments.domain.events import (
    DeploymentEvent,
    DeploymentEventKind,
    Event,
    ResourceEvent,
    ResourceEventKind,
    SecurityEvent,
    SecurityEventKind,
    Source,
)
from deployments.domain.values import SecurityFinding, Severity
from deployments.store.columns import clean_text
from deployments.store.tables import deployments, events
from deployments.store.transactions import Lease, Scope

DEPLOYMENT, RESOURCE, SECURITY = "deployment", "resource", "security"
POLL = timedelta(milliseconds=200)
MOST = 1000
"""Events in one answer."""


class Events:
    """The log of events."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def append(self, *happened: Event, lease: Lease | None = None) -> list[int]:
        """Write them in one transaction; returns their sequence numbers. With a lease: only while it is held."""
        with self._scope.writing(lease) as connection:
            return append(connection, happened)

    def read(
        self, *, after: int = 0, deployment: str | None = None, environment: str | None = None, limit: int = MOST
    ) -> list[Event]:
        """The events that follow the one whose sequence is `after`, for followers: none is ever skipped or repeated.

        Remember the last one's sequence and ask again. The newest may be held back for a moment (see above).
        """
        query = _chosen(deployment, environment).where(events.c.transaction < _first_unfinished()).limit(limit)
        if after > 0:
            its_transaction = select(events.c.transaction).where(events.c.sequence == after).scalar_subquery()
            query = query.where(
                tuple_(events.c.transaction, events.c.sequence) > tuple_(its_transaction, literal(after))
            )
        with self._scope.reading() as connection:
            return [from_row(row) for row in connection.execute(query)]

    def timeline(
        self, *, deployment: str | None = None, environment: str | None = None, limit: int = 10_000
    ) -> list[Event]:
        """Everything that is committed by now, oldest first: to show, not to follow."""
        query = _chosen(deployment, environment).limit(limit)
        with self._scope.reading() as connection:
            return [from_row(row) for row in connection.execute(query)]

    def follow(
        self,
        *,
        after: int = 0,
        deployment: str | None = None,
        environment: str | None = None,
        until: Callable[[], bool] = lambda: False,
        poll: timedelta = POLL,
    ) -> Iterator[Event]:
        """Events as they come; ends when `until` holds and everything committed before that was given.

        It asks again and again: NOTIFY would make all commits of the server wait for one another.
        """
        while True:
            is_over = until()
            batch = self.read(after=after, deployment=deployment, environment=environment)
            for event in batch:
                after = event.sequence or after
                yield event
            if batch:
                continue
            if is_over and not self._has_held_back(deployment, environment):
                return
            time.sleep(poll.total_seconds())

    def _has_held_back(self, deployment: str | None, environment: str | None) -> bool:
        query = _chosen(deployment, environment).where(events.c.transaction >= _first_unfinished())
        with self._scope.reading() as connection:
            return bool(connection.scalar(select(exists(query.order_by(None)))))


def append(connection: Connection, happened: Sequence[Event]) -> list[int]:
    """Write events within the caller's transaction; returns their sequence numbers."""
    if not happened:
        return []
    statement = insert(events).returning(events.c.sequence, sort_by_parameter_order=True)
    return list(connection.scalars(statement, [to_row(event) for event in happened]))


def append_for(
    connection: Connection,
    deployment: str,
    kind: DeploymentEventKind,
    source: Source,
    *,
    step: str | None = None,
    service: str | None = None,
    message: str = "",
    data: Mapping[str, object] | None = None,
) -> None:
    """Append an event of a deployment whose environment and correlation id are looked up in the same statement.

    Raises NotFound when there is no such deployment.
    """
    row = select(
        literal(DEPLOYMENT),
        literal(kind.value),
        deployments.c.environment,
        deployments.c.id,
        deployments.c.correlation_id,
        literal(source.value),
        literal(step),
        literal(service),
        literal(clean_text(message)),
        literal(dict(data or {}), events.c.data.type),
    ).where(deployments.c.id == deployment)
    names = ["family", "kind", "environment", "deployment", "correlation_id", "source"]
    names += ["subject", "service", "message", "data"]
    if connection.scalar(insert(events).from_select(names, row).returning(events.c.sequence)) is None:
        raise no_deployment(deployment)


def has_told(
    connection: Connection,
    deployment: str,
    kind: DeploymentEventKind,
    *,
    step: str | None,
    service: str | None,
    data: Mapping[str, object],
) -> bool:
    """Whether a deployment has an event of this kind, about this, with these data, committed or of this transaction."""
    same = select(events.c.sequence).where(
        events.c.deployment == deployment,
        events.c.kind == kind.value,
        events.c.subject.is_not_distinct_from(step),
        events.c.service.is_not_distinct_from(service),
        events.c.data == literal(dict(data), events.c.data.type),
    )
    return bool(connection.scalar(select(exists(same))))


def correlation_of(connection: Connection, deployment: str) -> str:
    """The correlation id of a deployment; its id where it is not recorded."""
    found = connection.scalar(select(deployments.c.correlation_id).where(deployments.c.id == deployment))
    return found or deployment


def no_deployment(reference: str) -> NotFound:
    """The error for a deployment that is not there."""
    return NotFound(f"There is no deployment named {reference}.", remedy="`fairlead history` lists them.")


def to_row(event: Event) -> dict[str, object]:
    """An event as a row; every kind of event has all keys."""
    row: dict[str, object] = {
        "kind": event.kind.value,
        "environment": event.environment,
        "deployment": event.deployment,
        "correlation_id": event.correlation_id,
        "source": event.source.value,
        "at": event.at,
        "service": None,
        "severity": None,
        "message": event.message,
        "data": dict(event.data),
        "finding": None,
    }
    match event:
        case DeploymentEvent():
            return row | {"family": DEPLOYMENT, "subject": event.step, "service": event.service}
        case ResourceEvent():
            return row | {"family": RESOURCE, "subject": event.resource, "service": event.service}
        case SecurityEvent():
            return row | {
                "family": SECURITY,
                "subject": event.principal,
                "severity": event.severity.value,
                "finding": event.finding,
            }


def from_row(row: Row[tuple[object, ...]]) -> Event:
    """The event of a row."""
    match row.family:
        case "deployment":
            return DeploymentEvent(
                kind=DeploymentEventKind(row.kind),
                deployment=row.deployment,
                environment=row.environment,
                correlation_id=row.correlation_id,
                source=Source(row.source),
                at=row.at,
                step=row.subject,
                service=row.service,
                message=row.message,
                data=row.data,
                sequence=row.sequence,
            )
        case "resource":
            return ResourceEvent(
                kind=ResourceEventKind(row.kind),
                resource=row.subject,
                environment=row.environment,
                correlation_id=row.correlation_id,
                source=Source(row.source),
                at=row.at,
                deployment=row.deployment,
                service=row.service,
                message=row.message,
                data=row.data,
                sequence=row.sequence,
            )
        case _:
            return SecurityEvent(
                kind=SecurityEventKind(row.kind),
                principal=row.subject,
                environment=row.environment,
                correlation_id=row.correlation_id,
                source=Source(row.source),
                at=row.at,
                severity=Severity(row.severity),
                deployment=row.deployment,
                message=row.message,
                finding=_finding(row.finding),
                data=row.data,
                sequence=row.sequence,
            )


def _finding(kept: dict[str, str] | None) -> SecurityFinding | None:
    if kept is None:
        return None
    texts = {name: value for name, value in kept.items() if name != "severity"}
    return SecurityFinding(severity=Severity(kept["severity"]), **texts)


def _chosen(deployment: str | None, environment: str | None) -> Select[tuple[object, ...]]:
    query = select(events).order_by(events.c.transaction, events.c.sequence)
    if deployment is not None:
        query = query.where(events.c.deployment == deployment)
    if environment is not None:
        query = query.where(events.c.environment == environment)
    return query


def _first_unfinished() -> ColumnElement[object]:
    """The oldest transaction of the server that is not over; all before it are."""
    return func.pg_snapshot_xmin(func.pg_current_snapshot())
