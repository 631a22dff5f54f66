"""The journal: each step's intent before its effect, its receipt after. What undo and recovery are planned from.

A step with an intent and no receipt is in doubt: its process died, or its answer was lost, somewhere between the two.
Both writes lock the lease's row, and each carries its event in the same transaction. Undo steps are `undo:KEY`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError

from deployments.domain.errors import NotFound
from deployments.domain.events import DeploymentEventKind, Event
from deployments.store.events import append, append_for, no_deployment
from deployments.store.tables import journal
from deployments.store.transactions import Lease, Scope, lost

UNDO = "undo:"
KINDS = {
    (False, False): DeploymentEventKind.STEP_INTENDED,
    (False, True): DeploymentEventKind.STEP_DONE,
    (True, False): DeploymentEventKind.STEP_UNDO_INTENDED,
    (True, True): DeploymentEventKind.STEP_UNDONE,
}
"""By (is an undo, is done)."""

# Each of the two is one statement and so a transaction by itself: one round trip instead of five, on the hottest path.
# The first part locks the lease as `lock_lease` does; without the lease nothing of the rest happens.
INTEND = text(
    """
    WITH lease AS (
        SELECT environment FROM fairlead.leases
        WHERE environment = :environment AND owner = :owner AND fence = :fence AND expires_at > clock_timestamp()
        FOR KEY SHARE
    ),
    intent AS (
        INSERT INTO fairlead.journal AS j (deployment, key, action, fence)
        SELECT :deployment, :key, :body, :fence FROM lease
        ON CONFLICT (deployment, key) DO UPDATE SET attempts = j.attempts + 1, fence = excluded.fence
        WHERE j.done_at IS NULL AND j.fence <> excluded.fence
        RETURNING j.attempts
    ),
    told AS (
        INSERT INTO fairlead.events
            (family, kind, environment, deployment, correlation_id, source, subject, data)
        SELECT 'deployment', :kind, d.environment, d.id, d.correlation_id, :source, :key,
            jsonb_build_object('attempt', intent.attempts, 'action', :body)
        FROM intent, fairlead.deployments d WHERE d.id = :deployment
    )
    SELECT EXISTS (SELECT FROM lease) AS is_held, (SELECT attempts FROM intent) AS attempts
    """
).bindparams(bindparam("body", type_=JSONB))
PROVE = text(
    """
    WITH lease AS (
        SELECT environment FROM fairlead.leases
        WHERE environment = :environment AND owner = :owner AND fence = :fence AND expires_at > clock_timestamp()
        FOR KEY SHARE
    ),
    proof AS (
        UPDATE fairlead.journal AS j SET receipt = :body, done_at = clock_timestamp(), fence = :fence
        FROM lease WHERE j.deployment = :deployment AND j.key = :key AND j.done_at IS NULL
        RETURNING j.deployment
    ),
    told AS (
        INSERT INTO fairlead.events
            (family, kind, environment, deployment, correlation_id, source, subject, data)
        SELECT 'deployment', :kind, d.environment, d.id, d.correlation_id, :source, :key,
            jsonb_build_object('receipt', :body)
        FROM proof, fairlead.deployments d WHERE d.id = proof.deployment
    )
    SELECT EXISTS (SELECT FROM lease) AS is_held, EXISTS (SELECT FROM proof) AS is_written
    """
).bindparams(bindparam("body", type_=JSONB))


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One step of one deployment. `values` is the receipt, empty while in doubt; `attempts` counts its writers."""

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

        One intent stands for all a writer does about a step under its fence: written again, because the answer was
        lost or the effect is repeated, it changes nothing and is not told again. Under another fence a step in doubt
        is a further attempt. Raises LeaseLost, or NotFound.
        """
        with self._writing(lease, events) as connection:
            try:
                row = connection.execute(INTEND, self._values(lease, deployment, key, is_done=False, body=action)).one()
            except IntegrityError as error:
                raise no_deployment(deployment) from error
            if not row.is_held:
                raise lost(connection, lease)
            if row.attempts is None:
                return _receipt(connection, deployment, key)
            append(connection, events)
        return None

    def receipt(
        self, lease: Lease, deployment: str, key: str, values: Mapping[str, object], *, events: Sequence[Event] = ()
    ) -> None:
        """Write the proof that the step happened, and `events` with it. The first receipt of a step is kept.

        Raises LeaseLost, or NotFound when the step was never intended.
        """
        with self._writing(lease, events) as connection:
            row = connection.execute(PROVE, self._values(lease, deployment, key, is_done=True, body=values)).one()
            if not row.is_held:
                raise lost(connection, lease)
            if not row.is_written:
                _receipt(connection, deployment, key)
                return
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

    def _writing(self, lease: Lease, events: Sequence[Event]) -> AbstractContextManager[Connection]:
        """One statement is a transaction already; with further events it takes one around them all."""
        return self._scope.writing(lease) if events else self._scope.alone()

    def _values(
        self, lease: Lease, deployment: str, key: str, *, is_done: bool, body: Mapping[str, object]
    ) -> dict[str, object]:
        return {
            "environment": lease.environment,
            "owner": lease.owner,
            "fence": lease.fence,
            "deployment": deployment,
            "key": key,
            "kind": KINDS[key.startswith(UNDO), is_done].value,
            "source": self._scope.source.value,
            "body": dict(body),
        }


def _receipt(connection: Connection, deployment: str, key: str) -> dict[str, object] | None:
    """The receipt of a step that was intended; None while it is in doubt."""
    query = select(journal.c.receipt).where(journal.c.deployment == deployment, journal.c.key == key)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(
            f"The journal of {deployment} has no intent of the step {key}.",
            remedy="Write the intent before the effect.",
            deployment=deployment,
            step=key,
        )
    return None if row.receipt is None else dict(row.receipt)
