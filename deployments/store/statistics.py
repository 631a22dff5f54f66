"""Counts, success rates and durations of many deployments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import Connection, func, select, tuple_

from deployments.domain.status import DeploymentStatus
from deployments.store.criteria import UNSUCCESSFUL, Criteria, conditions
from deployments.store.tables import deployments

S = DeploymentStatus


@dataclass(frozen=True, slots=True)
class Statistics:
    """Deployments over a time. Durations are of completed ones, from opening to end; None where there is none."""

    total: int
    by_status: Mapping[DeploymentStatus, int]
    median_duration: timedelta | None = None
    p95_duration: timedelta | None = None
    by_environment: Mapping[str, Statistics] = field(default_factory=dict)

    @property
    def success_rate(self) -> float | None:
        """Share of completed among those that ended as completed or unsuccessful; None when none did."""
        completed = self.by_status.get(S.COMPLETED, 0)
        ended = completed + sum(self.by_status.get(status, 0) for status in UNSUCCESSFUL)
        return completed / ended if ended else None


def read_statistics(connection: Connection, criteria: Criteria) -> Statistics:
    """Over all chosen deployments, and for each environment."""
    counts = (
        select(deployments.c.environment, deployments.c.status, func.count())
        .where(*conditions(criteria))
        .group_by(deployments.c.environment, deployments.c.status)
    )
    by_environment: dict[str, dict[DeploymentStatus, int]] = {}
    overall: dict[DeploymentStatus, int] = {}
    for environment, status, count in connection.execute(counts):
        by_environment.setdefault(environment, {})[DeploymentStatus(status)] = count
        overall[DeploymentStatus(status)] = overall.get(DeploymentStatus(status), 0) + count
    took = _durations(connection, criteria)
    parts = {
        name: Statistics(sum(statuses.values()), statuses, *took.get(name, (None, None)))
        for name, statuses in sorted(by_environment.items())
    }
    return Statistics(sum(overall.values()), overall, *took.get(None, (None, None)), by_environment=parts)


def _durations(
    connection: Connection, criteria: Criteria
) -> dict[str | None, tuple[timedelta | None, timedelta | None]]:
    """Median and 95th percentile by environment; under None those of all."""
    duration = deployments.c.finished_at - deployments.c.created_at
    query = (
        select(
            deployments.c.environment,
            func.percentile_cont(0.5).within_group(duration),
            func.percentile_cont(0.95).within_group(duration),
        )
        .where(*conditions(criteria), deployments.c.status == S.COMPLETED.value)
        .group_by(func.grouping_sets(deployments.c.environment, tuple_()))
    )
    return {environment: (median, p95) for environment, median, p95 in connection.execute(query)}
