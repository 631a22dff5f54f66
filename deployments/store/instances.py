"""Instances: every running copy that was ever meant to be, with all that is needed to start it again."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Row, select, update
from sqlalchemy.dialects.postgresql import insert

from deployments.domain.entities import Instance, InstanceLife
from deployments.domain.errors import NotFound
from deployments.domain.events import ResourceEvent, ResourceEventKind
from deployments.store.events import append, correlation_of
from deployments.store.tables import NOW, instances
from deployments.store.transactions import Lease, Scope

TOLD_AS = {
    InstanceLife.WARM: ResourceEventKind.INSTANCE_KEPT_WARM,
    InstanceLife.RETIRED: ResourceEventKind.INSTANCE_RETIRED,
}
LIVES = instances.c.state != InstanceLife.RETIRED.value


class Instances:
    """The instances of all environments."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def record(self, lease: Lease, instance: Instance) -> None:
        """Write it before it is started; again, with another port perhaps, replaces what was written."""
        row = insert(instances).values(
            id=instance.id,
            environment=lease.environment,
            service=instance.service,
            revision=instance.revision,
            release=instance.release,
            deployment=instance.deployment,
            port=instance.port,
            state=instance.state.value,
            program=instance.program,
            retire_at=instance.retire_at,
        )
        replaced = ("service", "revision", "release", "deployment", "port", "state", "program", "retire_at")
        row = row.on_conflict_do_update(
            index_elements=["id"],
            set_={**{name: row.excluded[name] for name in replaced}, "updated_at": NOW},
            where=instances.c.environment == lease.environment,
        )
        with self._scope.writing(lease) as connection:
            if connection.scalar(row.returning(instances.c.id)) is None:
                raise ValueError(f"the instance {instance.id} belongs to another environment")

    def set_state(self, lease: Lease, instance: str, state: InstanceLife, *, retire_at: datetime | None = None) -> None:
        """Change where it is in its life; `retire_at` says until when a warm one is kept.

        One that is there already is not told again. Retiring one that was never recorded is fine. Raises NotFound
        otherwise.
        """
        chosen = (instances.c.id == instance, instances.c.environment == lease.environment)
        change = (
            update(instances)
            .where(*chosen)
            .values(state=state.value, retire_at=retire_at, updated_at=NOW)
            .returning(instances.c.service, instances.c.deployment, instances.c.updated_at)
        )
        with self._scope.writing(lease) as connection:
            before = _state_before(connection, *chosen) if state in TOLD_AS else None
            row = connection.execute(change).one_or_none()
            if row is None:
                if state is InstanceLife.RETIRED:
                    return
                raise _unknown(instance)
            if state in TOLD_AS and before != state:
                append(connection, [self._event(connection, lease, instance, row, TOLD_AS[state])])

    def get(self, instance: str) -> Instance:
        """The instance of this name. Raises NotFound."""
        with self._scope.reading() as connection:
            row = connection.execute(select(instances).where(instances.c.id == instance)).one_or_none()
        if row is None:
            raise _unknown(instance)
        return to_instance(row)

    def of_environment(self, environment: str, *, with_retired: bool = False) -> list[Instance]:
        """The instances of an environment, by service and age."""
        chosen = [instances.c.environment == environment]
        return self._read(*chosen if with_retired else (*chosen, LIVES))

    def of_deployment(self, deployment: str) -> list[Instance]:
        """The instances that a deployment started, retired ones included."""
        return self._read(instances.c.deployment == deployment)

    def due_for_retirement(self, environment: str | None = None, *, now: datetime | None = None) -> list[Instance]:
        """Those whose time to be kept warm is over, in one or all environments; `now` is database time unless given."""
        here = [] if environment is None else [instances.c.environment == environment]
        return self._read(LIVES, instances.c.retire_at <= (NOW if now is None else now), *here)

    def _read(self, *conditions: ColumnElement[bool]) -> list[Instance]:
        query = select(instances).where(*conditions)
        query = query.order_by(instances.c.service, instances.c.created_at, instances.c.id)
        with self._scope.reading() as connection:
            return [to_instance(row) for row in connection.execute(query)]

    def _event(
        self, connection: Connection, lease: Lease, instance: str, row: Row[tuple[object, ...]], kind: ResourceEventKind
    ) -> ResourceEvent:
        return ResourceEvent(
            kind=kind,
            resource=instance,
            environment=lease.environment,
            correlation_id=correlation_of(connection, row.deployment),
            source=self._scope.source,
            at=row.updated_at,
            deployment=row.deployment,
            service=row.service,
        )


def _state_before(connection: Connection, *chosen: ColumnElement[bool]) -> str | None:
    """Where an instance is in its life, locked until the transaction ends."""
    return connection.scalar(select(instances.c.state).where(*chosen).with_for_update())


def to_instance(row: Row[tuple[object, ...]]) -> Instance:
    """The entity of a row."""
    return Instance(
        id=row.id,
        environment=row.environment,
        service=row.service,
        revision=row.revision,
        release=row.release,
        deployment=row.deployment,
        port=row.port,
        state=InstanceLife(row.state),
        created_at=row.created_at,
        retire_at=row.retire_at,
        program=row.program,
    )


def _unknown(instance: str) -> NotFound:
    return NotFound(f"There is no instance named {instance}.", remedy="`fairlead status` lists them.")
