"""Which deployments are meant, as values and as conditions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement

from deployments.domain.status import DeploymentStatus, Reason
from deployments.store.tables import deployments

S = DeploymentStatus
UNSUCCESSFUL = (S.FAILED, S.TIMED_OUT, S.ROLLING_BACK, S.ROLLED_BACK, S.ROLLBACK_FAILED)
"""Ended, or ending, without what was asked for; a cancelled one was not asked for any more."""


class DeploymentType(StrEnum):
    """What kind of attempt a deployment is."""

    FORWARD = "forward"
    ROLLBACK = "rollback"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Criteria:
    """Which deployments; everything given must hold. `since` is inclusive, `until` is not."""

    environment: str | None = None
    project: str | None = None
    statuses: tuple[DeploymentStatus, ...] = ()
    reasons: tuple[Reason, ...] = ()
    type: DeploymentType | None = None
    created_by: str | None = None
    parent: str | None = None
    since: datetime | None = None
    until: datetime | None = None


EVERYTHING = Criteria()


def conditions(criteria: Criteria) -> list[ColumnElement[bool]]:
    """What the rows must hold."""
    table = deployments.c
    equal = {
        table.environment: criteria.environment,
        table.project: criteria.project,
        table.created_by: criteria.created_by,
        table.parent: criteria.parent,
    }
    found = [column == value for column, value in equal.items() if value is not None]
    if criteria.statuses:
        found.append(table.status.in_([status.value for status in criteria.statuses]))
    if criteria.reasons:
        found.append(table.reason.in_([reason.value for reason in criteria.reasons]))
    if criteria.since is not None:
        found.append(table.created_at >= criteria.since)
    if criteria.until is not None:
        found.append(table.created_at < criteria.until)
    match criteria.type:
        case DeploymentType.ROLLBACK:
            found.append(table.is_rollback)
        case DeploymentType.RETRY:
            found.append(~table.is_rollback & (table.retry > 0))
        case DeploymentType.FORWARD:
            found.append(~table.is_rollback & (table.retry == 0))
        case None:
            pass
    return found
