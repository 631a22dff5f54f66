"""Environments and their projects."""

from __future__ import annotations

from sqlalchemy import Connection, Row, select
from sqlalchemy.dialects.postgresql import insert

from deployments.domain.entities import Project
from deployments.domain.environment import EnvironmentRecord, Grant, Permission
from deployments.domain.errors import NotFound, Refused, VersionConflict
from deployments.domain.events import SecurityEvent, SecurityEventKind
from deployments.store.events import append
from deployments.store.tables import NOW, environments, projects
from deployments.store.transactions import Scope

OWNER = (Permission.DEPLOY, Permission.ROLLBACK, Permission.ADMINISTER)
"""What the creator of an environment may do in it."""


class Environments:
    """Records of environments, and the projects that own them."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def get(self, name: str) -> EnvironmentRecord:
        """The record. Raises NotFound."""
        found = self.find(name)
        if found is None:
            raise NotFound(
                f"There is no environment named {name}.",
                remedy="Make it with `fairlead environment apply FILE`, or deploy to it.",
            )
        return found

    def find(self, name: str) -> EnvironmentRecord | None:
        """The record, if there is one."""
        with self._scope.reading() as connection:
            kept = connection.scalar(select(environments.c.record).where(environments.c.name == name))
        return None if kept is None else EnvironmentRecord.model_validate(kept)

    def version(self, name: str) -> int:
        """How often the record was written; 0 when there is none."""
        with self._scope.reading() as connection:
            return connection.scalar(select(environments.c.version).where(environments.c.name == name)) or 0

    def all(self, *, project: str | None = None) -> list[EnvironmentRecord]:
        """All records, or those of a project, by name."""
        query = select(environments.c.record).order_by(environments.c.name)
        if project is not None:
            query = query.where(environments.c.project == project)
        with self._scope.reading() as connection:
            return [EnvironmentRecord.model_validate(kept) for kept in connection.scalars(query)]

    def put(self, record: EnvironmentRecord, *, by: str, version: int | None = None) -> EnvironmentRecord:
        """Write the record, with a security event when it changed anything.

        Raises Refused when it would move the environment to another project, VersionConflict when `version` is given
        and the record was written since.
        """
        with self._scope.writing() as connection:
            _ensure_project(connection, record.project, by)
            present = _lock(connection, record.name)
            if present is not None and present.project != record.project:
                raise Refused(
                    f"The environment {record.name} belongs to the project {present.project}, not {record.project}.",
                    remedy="Choose another name: the names of environments are unique.",
                )
            if version is not None and version != (present.version if present else 0):
                raise VersionConflict(
                    f"The record of {record.name} was changed by somebody else.", remedy="Look at it again, then apply."
                )
            kept = record.model_dump(mode="json")
            if present is not None and present.record == kept:
                return record
            row = insert(environments).values(name=record.name, project=record.project, record=kept)
            changed = {"record": kept, "version": environments.c.version + 1, "updated_at": NOW}
            connection.execute(row.on_conflict_do_update(index_elements=["name"], set_=changed))
            self._tell(connection, record, by, before=present.record if present else None)
        return record

    def ensure_default(self, name: str, project: str, principal: str) -> EnvironmentRecord:
        """The record; where there is none, one with defaults that the principal owns."""
        owner = Grant(principal=principal, permissions=OWNER)
        record = EnvironmentRecord(name=name, project=project, grants=(owner,))
        with self._scope.writing() as connection:
            _ensure_project(connection, project, principal)
            kept = record.model_dump(mode="json")
            row = insert(environments).values(name=name, project=project, record=kept)
            if connection.scalar(row.on_conflict_do_nothing().returning(environments.c.name)) is not None:
                self._tell(connection, record, principal, before=None)
                return record
        return self.get(name)

    def names(self) -> list[str]:
        """The names of all environments, sorted."""
        with self._scope.reading() as connection:
            return list(connection.scalars(select(environments.c.name).order_by(environments.c.name)))

    def projects(self) -> list[Project]:
        """All projects by name."""
        with self._scope.reading() as connection:
            rows = connection.execute(select(projects).order_by(projects.c.name)).all()
        return [
            Project(name=row.name, created_at=row.created_at, description=row.description, owner=row.owner)
            for row in rows
        ]

    def _tell(
        self, connection: Connection, record: EnvironmentRecord, by: str, *, before: dict[str, object] | None
    ) -> None:
        after = record.model_dump(mode="json")
        changed = sorted(name for name, value in after.items() if before is None or before.get(name) != value)
        event = SecurityEvent(
            kind=SecurityEventKind.ENVIRONMENT_CHANGED,
            principal=by,
            environment=record.name,
            correlation_id=record.name,
            source=self._scope.source,
            at=connection.execute(select(NOW)).scalar_one(),
            message=f"{by} {'made' if before is None else 'changed'} the environment {record.name}.",
            data={"changed": changed, "before": before or {}},
        )
        append(connection, [event])


def _ensure_project(connection: Connection, name: str, owner: str) -> None:
    connection.execute(insert(projects).values(name=name, owner=owner).on_conflict_do_nothing())


def _lock(connection: Connection, name: str) -> Row[tuple[object, ...]] | None:
    query = select(environments).where(environments.c.name == name).with_for_update(key_share=True)
    return connection.execute(query).one_or_none()
