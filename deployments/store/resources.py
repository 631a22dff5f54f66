"""Resources: what was provisioned, for whom, and what a service needs to use it."""

from __future__ import annotations

from sqlalchemy import Connection, Row, delete, select
from sqlalchemy.dialects.postgresql import insert

from deployments.domain.entities import Resource
from deployments.domain.events import ResourceEvent, ResourceEventKind
from deployments.store.events import append, correlation_of
from deployments.store.tables import resources
from deployments.store.transactions import Lease, Scope


class Resources:
    """The resources of all environments."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def record(self, lease: Lease, resource: Resource) -> None:
        """Write it with its event; one that is known already keeps its maker and gets the new values.

        One that is known as it is changes nothing and is not told again.
        """
        row = insert(resources).values(
            key=resource.key,
            environment=lease.environment,
            name=resource.name,
            kind=resource.kind,
            values=dict(resource.values),
            deployment=resource.deployment,
            is_temporary=resource.is_temporary,
        )
        row = row.on_conflict_do_update(
            index_elements=["key"],
            set_={"values": row.excluded["values"]},
            where=resources.c["values"] != row.excluded["values"],
        )
        with self._scope.writing(lease) as connection:
            kept = connection.execute(row.returning(resources)).one_or_none()
            if kept is None:
                return
            append(connection, [self._event(connection, lease, kept, ResourceEventKind.PROVISIONED)])

    def remove(self, lease: Lease, key: str) -> None:
        """Forget it, with its event; an unknown one is fine."""
        gone = delete(resources).where(resources.c.key == key, resources.c.environment == lease.environment)
        with self._scope.writing(lease) as connection:
            row = connection.execute(gone.returning(resources)).one_or_none()
            if row is not None:
                append(connection, [self._event(connection, lease, row, ResourceEventKind.REMOVED)])

    def find(self, key: str) -> Resource | None:
        """The resource of this key."""
        with self._scope.reading() as connection:
            row = connection.execute(select(resources).where(resources.c.key == key)).one_or_none()
        return None if row is None else to_resource(row)

    def of_environment(self, environment: str, *, kind: str | None = None) -> list[Resource]:
        """The resources of an environment, of one kind or of all, by name."""
        query = select(resources).where(resources.c.environment == environment)
        if kind is not None:
            query = query.where(resources.c.kind == kind)
        with self._scope.reading() as connection:
            return [to_resource(row) for row in connection.execute(query.order_by(resources.c.name, resources.c.key))]

    def of_kind(self, kind: str) -> list[Resource]:
        """The resources of one kind in all environments."""
        query = select(resources).where(resources.c.kind == kind)
        query = query.order_by(resources.c.environment, resources.c.name, resources.c.key)
        with self._scope.reading() as connection:
            return [to_resource(row) for row in connection.execute(query)]

    def _event(
        self, connection: Connection, lease: Lease, row: Row[tuple[object, ...]], kind: ResourceEventKind
    ) -> ResourceEvent:
        return ResourceEvent(
            kind=kind,
            resource=row.name,
            environment=lease.environment,
            correlation_id=correlation_of(connection, row.deployment),
            source=self._scope.source,
            at=row.created_at,
            deployment=row.deployment,
            data={"key": row.key, "kind": row.kind},
        )


def to_resource(row: Row[tuple[object, ...]]) -> Resource:
    """The entity of a row."""
    found = row._mapping
    return Resource(
        environment=found["environment"],
        name=found["name"],
        kind=found["kind"],
        key=found["key"],
        values=found["values"],
        deployment=found["deployment"],
        created_at=found["created_at"],
        is_temporary=found["is_temporary"],
    )
