"""The journal: each step's intent before its effect, its receipt after. What undo and recovery are planned from.

A step with an intent and no receipt is in doubt: its process died, or its answer was lost, somewhere between the two.
Both writes lock the lease's row, and each carries its event in the same transaction. Undo steps are `undo:KEY`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from deployments.domain.errors import NotFound
from deployments.domain.events import DeploymentEventKind, Event
from deployments.store.events import append, append_for, no_deployment
from deployments.store.tables import NOW, journal
from deployments.store.transactions import Lease, Scope

UNDO = "undo:"
KINDS = {
    (False, False): DeploymentEventKind.STEP_INTENDED,
    (False, True): DeploymentEventKind.STEP_DONE,
    (True, False): DeploymentEventKind.STEP_UNDO_INTENDED,
    (True, True): DeploymentEventKind.STEP_UNDONE,
}
"""By (is an undo, is done)."""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One step of one deployment. `values` is the receipt, empty while in doubt; `attempts` counts the intents."""

    key: str
    action: Mapping[str, object]
    values: Mapping[str, object]
    fence: int
    attempts: int
    intended_at: datetime
    done_at: datetime | None

    @property
    def is_done(self) -> bool:
        """It has a receipt."""
        return self.done_at is not None

    @property
    def is_undo(self) -> bool:
        """It takes another step back."""
        return self.key.startswith(UNDO)


class Journal:
    """Intents and receipts."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def intend(
        self, lease: Lease, deployment: str, key: str, action: Mapping[str, object], *, events: Sequence[Event] = ()
    ) -> dict[str, object] | None:
        """Write the intent; None: perform it now. A step that is done already returns its receipt instead.

        A second intent of a step in doubt is counted as a further attempt. Raises LeaseLost, or NotFound.
        """
        intent = (
            insert(journal)
            .values(deployment=deployment, key=key, action=action, fence=lease.fence)
            .on_conflict_do_update(
                index_elements=["deployment", "key"],
                set_={"attempts": journal.c.attempts + 1, "fence": lease.fence},
                where=journal.c.done_at.is_(None),
            )
            .returning(journal.c.attempts)
        )
        with self._scope.writing(lease) as connection:
            try:
                attempt = connection.scalar(intent)
            except IntegrityError as error:
                raise no_deployment(deployment) from error
            if attempt is None:
                return _receipt(connection, deployment, key)
            self._tell(connection, deployment, key, is_done=False, data={"attempt": attempt, "action": action})
            append(connection, events)
        return None

    def receipt(
        self, lease: Lease, deployment: str, key: str, values: Mapping[str, object], *, events: Sequence[Event] = ()
    ) -> None:
        """Write the proof that the step happened, and `events` with it. The first receipt of a step is kept.

        Raises LeaseLost, or NotFound when the step was never intended.
        """
        proof = (
            update(journal)
            .where(journal.c.deployment == deployment, journal.c.key == key, journal.c.done_at.is_(None))
            .values(receipt=dict(values), done_at=NOW, fence=lease.fence)
        )
        with self._scope.writing(lease) as connection:
            if connection.execute(proof).rowcount == 0:
                _receipt(connection, deployment, key)
                return
            self._tell(connection, deployment, key, is_done=True, data={"receipt": values})
            append(connection, events)

    def failed(self, lease: Lease, deployment: str, key: str, message: str) -> None:
        """Tell that an attempt failed; the step stays in doubt."""
        kind = DeploymentEventKind.STEP_UNDO_FAILED if key.startswith(UNDO) else DeploymentEventKind.STEP_FAILED
        with self._scope.writing(lease) as connection:
            append_for(connection, deployment, kind, self._scope.source, step=key, message=message)

    def entries(self, deployment: str) -> list[JournalEntry]:
        """All steps of a deployment, in the order of their first intents."""
        query = select(journal).where(journal.c.deployment == deployment).order_by(journal.c.position)
        with self._scope.reading() as connection:
            rows = connection.execute(query).all()
        return [
            JournalEntry(
                key=row.key,
                action=row.action,
                values=row.receipt or {},
                fence=row.fence,
                attempts=row.attempts,
                intended_at=row.intended_at,
                done_at=row.done_at,
            )
            for row in rows
        ]

    def receipts(self, deployment: str) -> dict[str, dict[str, object]]:
        """The receipts of all finished steps by key."""
        return {entry.key: dict(entry.values) for entry in self.entries(deployment) if entry.is_done}

    def _tell(
        self, connection: Connection, deployment: str, key: str, *, is_done: bool, data: Mapping[str, object]
    ) -> None:
        kind = KINDS[key.startswith(UNDO), is_done]
        append_for(connection, deployment, kind, self._scope.source, step=key, data=data)


def _receipt(connection: Connection, deployment: str, key: str) -> dict[str, object]:
    query = select(journal.c.receipt).where(journal.c.deployment == deployment, journal.c.key == key)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(
            f"The journal of {deployment} has no intent of the step {key}.",
            remedy="Write the intent before the effect.",
            deployment=deployment,
            step=key,
        )
    return dict(row.receipt or {})
