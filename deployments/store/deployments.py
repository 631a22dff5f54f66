"""Deployments: opened once, advanced by the one table of states, failed and their undo planned in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum

from sqlalchemy import Connection, Row, Select, select, update
from sqlalchemy.dialects.postgresql import insert

from deployments.domain.entities import Deployment
from deployments.domain.errors import NotFound, Refused, VersionConflict
from deployments.domain.events import DeploymentEventKind, Event
from deployments.domain.status import ENDED, DeploymentStatus, Reason, check_transition
from deployments.store.deployment_rows import count_steps_done, select_deployments, to_deployment
from deployments.store.events import append, append_for, has_told, no_deployment
from deployments.store.tables import NOW, documents, environments
from deployments.store.tables import deployments as table
from deployments.store.transactions import Lease, Scope

S = DeploymentStatus
TOLD_AS = {
    S.COMPLETED: DeploymentEventKind.COMPLETED,
    S.FAILED: DeploymentEventKind.FAILED,
    S.CANCELLED: DeploymentEventKind.FAILED,
    S.TIMED_OUT: DeploymentEventKind.FAILED,
    S.ROLLED_BACK: DeploymentEventKind.ROLLED_BACK,
    S.ROLLBACK_FAILED: DeploymentEventKind.ROLLBACK_FAILED,
}
"""States whose event has a name of its own."""


class Document(StrEnum):
    """What is kept with a deployment besides its row."""

    SPECIFICATION = "specification"
    PLAN = "plan"
    FACTS = "facts"
    LOCKS = "locks"
    UNDO = "undo"
    REPORT = "report"
    REQUEST = "request"
    """Who asked, and where the specification's paths begin."""
    RESULTS = "results"
    """What every rule said."""


class Deployments:
    """The deployments of all environments."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def open(
        self,
        *,
        id: str,
        project: str,
        environment: str,
        name: str,
        created_by: str,
        specification: Mapping[str, object],
        services: Sequence[tuple[str, str]],
        correlation_id: str = "",
        parent: str | None = None,
        retry: int = 0,
        flow_run: str | None = None,
        is_rollback: bool = False,
        request: Mapping[str, object] | None = None,
        events: Sequence[Event] = (),
    ) -> Deployment:
        """Record a pending deployment, with its event and `events`, in one transaction.

        Opening the same id again returns what is there. Raises Refused when the environment has another deployment of
        this name, NotFound when it has no record.
        """
        row = insert(table).values(
            id=id,
            project=project,
            environment=environment,
            name=name,
            status=S.PENDING.value,
            created_by=created_by,
            correlation_id=correlation_id or id,
            parent=parent,
            retry=retry,
            flow_run=flow_run,
            is_rollback=is_rollback,
            services=[list(service) for service in services],
        )
        with self._scope.writing() as connection:
            _find_environment(connection, environment)
            if connection.scalar(row.on_conflict_do_nothing().returning(table.c.id)) is None:
                return _find_opened(connection, id=id, name=name, environment=environment)
            _write(connection, id, Document.SPECIFICATION, specification)
            _write(connection, id, Document.REQUEST, request or {})
            message = f"{created_by} opened {name} for {environment}."
            append_for(connection, id, DeploymentEventKind.CREATED, self._scope.source, message=message)
            append(connection, events)
            return _get(connection, id)

    def get(self, reference: str, *, environment: str | None = None) -> Deployment:
        """The deployment of this id or name. Raises NotFound, or Refused when several environments have the name."""
        with self._scope.reading() as connection:
            found = _one(connection, select_deployments(with_specification=True).where(table.c.id == reference))
            if found and environment in (None, found.environment):
                return found
            named = select_deployments(with_specification=True).where(table.c.name == reference)
            if environment is not None:
                named = named.where(table.c.environment == environment)
            rows = connection.execute(named.limit(2)).all()
        if len(rows) > 1:
            raise Refused(
                f"Several environments have a deployment named {reference}.", remedy="Name the environment too."
            )
        if not rows:
            raise no_deployment(reference)
        return to_deployment(rows[0])

    def by_flow_run(self, flow_run: str) -> Deployment | None:
        """The latest deployment that a flow run opened."""
        query = select_deployments(with_specification=True).where(table.c.flow_run == flow_run)
        with self._scope.reading() as connection:
            return _one(connection, query.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(1))

    def unfinished(self, environment: str) -> list[Deployment]:
        """Those of an environment that are not final, oldest first."""
        query = select_deployments(with_specification=True).where(
            table.c.environment == environment, table.c.finished_at.is_(None)
        )
        with self._scope.reading() as connection:
            return [to_deployment(row) for row in connection.execute(query.order_by(table.c.created_at, table.c.id))]

    def advance(
        self,
        lease: Lease,
        deployment: str,
        to: DeploymentStatus,
        *,
        reason: Reason = Reason.NONE,
        message: str = "",
        version: int | None = None,
        events: Sequence[Event] = (),
    ) -> Deployment:
        """Move it to another state, with the event, in one transaction.

        The same move by the same writer again changes nothing, so that an answer that was lost costs nothing. Raises
        IllegalTransition, LeaseLost, or VersionConflict when `version` is given and the row has changed since.
        """
        with self._scope.writing(lease) as connection:
            present = _lock(connection, lease, deployment)
            if present.status == to and present.fence == lease.fence:
                return _get(connection, deployment)
            if version is not None and present.version != version:
                raise VersionConflict(
                    f"{deployment} was changed by somebody else (version {present.version}, not {version}).",
                    remedy="Look at it again, and decide again.",
                    deployment=deployment,
                    expected=version,
                    present=present.version,
                )
            self._move(connection, lease, present, to, reason, message)
            append(connection, events)
            return _get(connection, deployment)

    def withdraw(self, deployment: str, status: DeploymentStatus, *, reason: Reason, message: str = "") -> Deployment:
        """End one that still waits for its environment: it has touched nothing and holds no lease.

        One that has gone further, or has ended, is left as it is.
        """
        if status not in ENDED:
            raise ValueError(f"{status} is not a way to fail")
        waiting = (
            update(table)
            .where(table.c.id == deployment, table.c.status.in_([S.PENDING.value, S.QUEUED.value]))
            .values(
                status=status.value,
                reason=reason.value,
                message=message,
                version=table.c.version + 1,
                updated_at=NOW,
                finished_at=NOW,
            )
        )
        with self._scope.writing() as connection:
            if connection.execute(waiting).rowcount:
                data = {"to": status.value, "reason": reason.value}
                append_for(
                    connection, deployment, DeploymentEventKind.FAILED, self._scope.source, message=message, data=data
                )
            return _get(connection, deployment)

    def fail_and_plan_undo(
        self,
        lease: Lease,
        deployment: str,
        *,
        status: DeploymentStatus,
        reason: Reason,
        message: str,
        undo: Sequence[Mapping[str, object]],
        events: Sequence[Event] = (),
    ) -> Deployment:
        """End it as failed, cancelled or timed out, start the way back, and keep the plan of it: one transaction.

        Nobody can see one without the others. Without undo steps it just ends. One on its way back already
        keeps the plan it has.
        """
        if status not in ENDED:
            raise ValueError(f"{status} is not a way to fail")
        with self._scope.writing(lease) as connection:
            present = _lock(connection, lease, deployment)
            if present.status is S.ROLLING_BACK:
                return _get(connection, deployment)
            is_over = present.status in ENDED | {S.ROLLBACK_FAILED}
            if is_over and not undo:
                return _get(connection, deployment)
            if not is_over:
                present = self._move(connection, lease, present, status, reason, message)
            if undo:
                _write(connection, deployment, Document.UNDO, [dict(step) for step in undo])
                self._move(connection, lease, present, S.ROLLING_BACK, reason, message)
            append(connection, events)
            return _get(connection, deployment)

    def note(
        self,
        lease: Lease,
        deployment: str,
        kind: str,
        message: str = "",
        *,
        step: str | None = None,
        service: str | None = None,
        data: Mapping[str, object] | None = None,
    ) -> None:
        """Append one event of the deployment, with owner and fence of the writer; `kind` may be its text.

        The same note of the same writer is told once, so that an answer that was lost costs nothing: what happens
        twice under one fence says in `data` which time it is.
        """
        told = DeploymentEventKind(kind)
        whole = {**(data or {}), "owner": lease.owner, "fence": lease.fence}
        with self._scope.writing(lease) as connection:
            _lock(connection, lease, deployment)
            if not has_told(connection, deployment, told, step=step, service=service, data=whole):
                append_for(
                    connection,
                    deployment,
                    told,
                    self._scope.source,
                    step=step,
                    service=service,
                    message=message,
                    data=whole,
                )

    def save_plan(
        self,
        lease: Lease,
        deployment: str,
        plan: Mapping[str, object],
        *,
        facts: Mapping[str, object] | None = None,
        locks: Mapping[str, object] | None = None,
        message: str = "",
    ) -> None:
        """Keep the plan (its `steps` are counted), and what it was made from. The same plan again is not told again."""
        steps = plan.get("steps")
        total = len(steps) if isinstance(steps, Sequence) else 0
        with self._scope.writing(lease) as connection:
            _lock(connection, lease, deployment)
            is_new = _write(connection, deployment, Document.PLAN, plan)
            for kind, body in ((Document.FACTS, facts), (Document.LOCKS, locks)):
                if body is not None:
                    _write(connection, deployment, kind, body)
            if not is_new:
                return
            connection.execute(
                update(table)
                .where(table.c.id == deployment)
                .values(steps_total=total, version=table.c.version + 1, updated_at=NOW)
            )
            data = {"steps": total}
            append_for(
                connection, deployment, DeploymentEventKind.PLANNED, self._scope.source, message=message, data=data
            )

    def save(self, lease: Lease, deployment: str, kind: Document, body: object) -> None:
        """Keep a document; a former one of its kind is replaced."""
        with self._scope.writing(lease) as connection:
            _lock(connection, lease, deployment)
            _write(connection, deployment, kind, body)

    def save_report(self, lease: Lease, deployment: str, report: Mapping[str, object]) -> None:
        """Keep the report; a former one is replaced."""
        self.save(lease, deployment, Document.REPORT, report)

    def document(self, deployment: str, kind: Document) -> object:
        """A document; None when there is none of this kind."""
        query = select(documents.c.body).where(documents.c.deployment == deployment, documents.c.kind == kind.value)
        with self._scope.reading() as connection:
            return connection.scalar(query)

    def plan(self, deployment: str) -> dict[str, object] | None:
        """The plan as it was kept."""
        return _object(self.document(deployment, Document.PLAN))

    def report(self, deployment: str) -> dict[str, object] | None:
        """The report as it was kept."""
        return _object(self.document(deployment, Document.REPORT))

    def undo_plan(self, deployment: str) -> list[dict[str, object]]:
        """The steps of the way back; empty when none was planned."""
        found = self.document(deployment, Document.UNDO)
        return found if isinstance(found, list) else []

    def _move(
        self,
        connection: Connection,
        lease: Lease,
        present: Deployment,
        to: DeploymentStatus,
        reason: Reason,
        message: str,
    ) -> Deployment:
        """Apply a legal move to the locked row, and tell it."""
        check_transition(present.status, to)
        moving = (
            update(table)
            .where(table.c.id == present.id)
            .values(
                status=to.value,
                reason=reason.value,
                message=message,
                version=table.c.version + 1,
                fence=lease.fence,
                updated_at=NOW,
                finished_at=NOW if to.is_final else None,
                steps_done=count_steps_done(present.id),
            )
        )
        connection.execute(moving)
        data = {"from": present.status.value, "to": to.value, "reason": reason.value}
        kind = TOLD_AS.get(to, DeploymentEventKind.STATUS_CHANGED)
        append_for(connection, present.id, kind, self._scope.source, message=message, data=data)
        return replace(present, status=to, version=present.version + 1, fence=lease.fence)


def _lock(connection: Connection, lease: Lease, deployment: str) -> Deployment:
    """The row, locked until the transaction ends. A lease covers the deployments of its own environment only."""
    query = select_deployments().where(table.c.id == deployment, table.c.environment == lease.environment)
    found = _one(connection, query.with_for_update(key_share=True, of=table))
    if found is None:
        raise no_deployment(f"{deployment} in {lease.environment}")
    return found


def _write(connection: Connection, deployment: str, kind: Document, body: object) -> bool:
    """Keep a document; False when the same was kept already."""
    row = insert(documents).values(deployment=deployment, kind=kind.value, body=body)
    replacing = row.on_conflict_do_update(
        index_elements=["deployment", "kind"],
        set_={"body": row.excluded.body, "written_at": NOW},
        where=documents.c.body != row.excluded.body,
    )
    return connection.scalar(replacing.returning(documents.c.kind)) is not None


def _get(connection: Connection, deployment: str) -> Deployment:
    found = _one(connection, select_deployments(with_specification=True).where(table.c.id == deployment))
    if found is None:
        raise no_deployment(deployment)
    return found


def _one(connection: Connection, query: Select[tuple[object, ...]]) -> Deployment | None:
    row: Row[tuple[object, ...]] | None = connection.execute(query).one_or_none()
    return None if row is None else to_deployment(row)


def _find_environment(connection: Connection, environment: str) -> None:
    if connection.scalar(select(environments.c.name).where(environments.c.name == environment)) is None:
        raise NotFound(
            f"There is no environment named {environment}.", remedy="Make it with `fairlead environment apply FILE`."
        )


def _find_opened(connection: Connection, *, id: str, name: str, environment: str) -> Deployment:
    """What stood in the way of opening: the deployment itself, from before an answer was lost, or one of its name."""
    found = _one(connection, select_deployments(with_specification=True).where(table.c.id == id))
    if found is not None and found.environment == environment:
        return found
    raise Refused(
        f"{environment} already has a deployment named {name}.",
        remedy="Choose another name, or leave it out and one is generated.",
        environment=environment,
        name=name,
    )


def _object(found: object) -> dict[str, object] | None:
    return found if isinstance(found, dict) else None
