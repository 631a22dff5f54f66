"""A deployment's row as the domain's Deployment."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Row, Select, case, func, select

from deployments.domain.entities import Deployment
from deployments.domain.status import DeploymentStatus, Reason
from deployments.store.tables import deployments, documents, journal

SPECIFICATION = "specification"


def select_deployments(*, with_specification: bool = False) -> Select[tuple[object, ...]]:
    """A query of deployments; the specification is long, and read only where it is asked for."""
    columns = [column for column in deployments.c if column.name != "steps_done"]
    query = select(*columns, _steps_done().label("steps_done"))
    if with_specification:
        its_own = (documents.c.deployment == deployments.c.id) & (documents.c.kind == SPECIFICATION)
        query = query.add_columns(documents.c.body.label("specification")).outerjoin(documents, its_own)
    return query


def _steps_done() -> ColumnElement[int]:
    """Kept in the row once it is final; before that counted from the journal, so that parallel steps share no row."""
    counted = (
        select(func.count())
        .where(journal.c.deployment == deployments.c.id, journal.c.done_at.is_not(None), ~journal.c.key.like("undo:%"))
        .scalar_subquery()
    )
    return case((deployments.c.finished_at.is_not(None), deployments.c.steps_done), else_=counted)


def count_steps_done(deployment: str) -> ColumnElement[int]:
    """Steps forward with a receipt."""
    return (
        select(func.count())
        .where(journal.c.deployment == deployment, journal.c.done_at.is_not(None), ~journal.c.key.like("undo:%"))
        .scalar_subquery()
    )


def to_deployment(row: Row[tuple[object, ...]]) -> Deployment:
    """The entity."""
    found = row._mapping
    return Deployment(
        id=found["id"],
        project=found["project"],
        environment=found["environment"],
        name=found["name"],
        status=DeploymentStatus(found["status"]),
        created_by=found["created_by"],
        correlation_id=found["correlation_id"],
        created_at=found["created_at"],
        updated_at=found["updated_at"],
        reason=Reason(found["reason"]),
        message=found["message"],
        parent=found["parent"],
        retry=found["retry"],
        flow_run=found["flow_run"],
        is_rollback=found["is_rollback"],
        finished_at=found["finished_at"],
        version=found["version"],
        fence=found["fence"],
        specification=found.get("specification") or {},
        services=tuple((name, version) for name, version in found["services"]),
        steps_done=found["steps_done"],
        steps_total=found["steps_total"],
    )
