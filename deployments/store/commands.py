"""Orders to whoever drives a deployment: cancel it, or take it back. The holder of the lease obeys them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Row, select, update
from sqlalchemy.dialects.postgresql import insert

from deployments.domain.errors import Refused
from deployments.domain.events import DeploymentEventKind
from deployments.domain.status import DeploymentStatus
from deployments.store.events import append_for, no_deployment
from deployments.store.tables import NOW, commands, deployments
from deployments.store.transactions import Scope


class CommandKind(StrEnum):
    """What can be ordered."""

    CANCEL = "cancel"
    ROLLBACK = "rollback"


TOLD_AS = {
    CommandKind.CANCEL: DeploymentEventKind.CANCEL_ASKED,
    CommandKind.ROLLBACK: DeploymentEventKind.ROLLBACK_ASKED,
}


@dataclass(frozen=True, slots=True)
class Command:
    """One order, `by` whom and why."""

    id: int
    deployment: str
    kind: CommandKind
    by: str
    reason: str
    requested_at: datetime
    obeyed_at: datetime | None = None
    outcome: str = ""


class Commands:
    """Orders, pending and obeyed."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def request(self, deployment: str, kind: CommandKind | str, *, by: str, reason: str = "") -> Command:
        """Order it; the same order while one is pending is that one. Raises NotFound, or Refused when it is final."""
        kind = CommandKind(kind)
        order = insert(commands).values(deployment=deployment, kind=kind.value, requested_by=by, reason=reason)
        with self._scope.writing() as connection:
            status = connection.scalar(
                select(deployments.c.status).where(deployments.c.id == deployment).with_for_update(read=True)
            )
            if status is None:
                raise no_deployment(deployment)
            if DeploymentStatus(status).is_final:
                raise Refused(
                    f"{deployment} is {status}: there is nothing to {kind}.",
                    remedy="`fairlead rollback ENVIRONMENT` returns to the release before it.",
                    deployment=deployment,
                    status=status,
                )
            if connection.scalar(order.on_conflict_do_nothing().returning(commands.c.id)) is not None:
                message = f"{by} asked to {kind}" + (f": {reason}" if reason else ".")
                append_for(connection, deployment, TOLD_AS[kind], self._scope.source, message=message, data={"by": by})
            pending = select(commands).where(
                commands.c.deployment == deployment, commands.c.kind == kind.value, commands.c.obeyed_at.is_(None)
            )
            return _to_command(connection.execute(pending).one())

    def pending(self, deployment: str) -> Command | None:
        """The oldest order that was not obeyed yet."""
        query = (
            select(commands)
            .where(commands.c.deployment == deployment, commands.c.obeyed_at.is_(None))
            .order_by(commands.c.id)
            .limit(1)
        )
        with self._scope.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _to_command(row)

    def obeyed(self, deployment: str, *, outcome: str = "") -> int:
        """Every pending order of the deployment is dealt with; returns how many there were."""
        dealt_with = (
            update(commands)
            .where(commands.c.deployment == deployment, commands.c.obeyed_at.is_(None))
            .values(obeyed_at=NOW, outcome=outcome)
        )
        with self._scope.writing() as connection:
            return connection.execute(dealt_with).rowcount


def _to_command(row: Row[tuple[object, ...]]) -> Command:
    return Command(
        id=row.id,
        deployment=row.deployment,
        kind=CommandKind(row.kind),
        by=row.requested_by,
        reason=row.reason,
        requested_at=row.requested_at,
        obeyed_at=row.obeyed_at,
        outcome=row.outcome,
    )
