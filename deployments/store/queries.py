"""What people ask: history, statistics, failures, and how an environment is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, func, literal, select, tuple_

from deployments.domain.entities import Deployment, Environment
from deployments.domain.facts import RunningRelease
from deployments.store.criteria import UNSUCCESSFUL, Criteria, DeploymentType, conditions
from deployments.store.deployment_rows import select_deployments, to_deployment
from deployments.store.environment_views import (
    EnvironmentHealth,
    Utilisation,
    read_environment,
    read_health,
    read_utilisation,
    read_warm,
)
from deployments.store.statistics import Statistics, read_statistics
from deployments.store.tables import deployments, environments
from deployments.store.transactions import Scope

__all__ = [
    "UNSUCCESSFUL",
    "Criteria",
    "DeploymentType",
    "EnvironmentHealth",
    "Queries",
    "Statistics",
    "Utilisation",
]
EVERYTHING = Criteria()


class Queries:
    """Reads across the tables."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def history(
        self, criteria: Criteria = EVERYTHING, *, limit: int = 50, offset: int = 0, before: Deployment | None = None
    ) -> list[Deployment]:
        """Deployments newest first, without their specifications.

        `before`, the last one of a page, continues after it at the same cost however far back; `offset` costs what it
        skips.
        """
        age = tuple_(deployments.c.created_at, deployments.c.id)
        query = select_deployments().where(*conditions(criteria)).limit(limit).offset(offset)
        if before is not None:
            query = query.where(age < tuple_(literal(before.created_at), literal(before.id)))
        query = query.order_by(deployments.c.created_at.desc(), deployments.c.id.desc())
        with self._scope.reading() as connection:
            return [to_deployment(row) for row in connection.execute(query)]

    def failed(self, criteria: Criteria = EVERYTHING, *, limit: int = 50, offset: int = 0) -> list[Deployment]:
        """Unsuccessful deployments newest first; `criteria.statuses`, where given, chooses among them."""
        chosen = tuple(status for status in UNSUCCESSFUL if status in (criteria.statuses or UNSUCCESSFUL))
        return self.history(replace(criteria, statuses=chosen), limit=limit, offset=offset) if chosen else []

    def count(self, criteria: Criteria = EVERYTHING) -> int:
        """How many deployments there are."""
        query = select(func.count()).select_from(deployments).where(*conditions(criteria))
        with self._scope.reading() as connection:
            return connection.scalar(query) or 0

    def statistics(self, criteria: Criteria = EVERYTHING) -> Statistics:
        """Counts by status, success rate and durations, over all chosen deployments and for each environment."""
        with self._scope.reading() as connection:
            return read_statistics(connection, criteria)

    def environment(self, name: str) -> Environment:
        """The environment with everything it holds. Raises NotFound."""
        with self._scope.reading() as connection:
            return read_environment(connection, name)

    def environments(self) -> list[Environment]:
        """All environments with everything they hold, by name."""
        with self._scope.reading() as connection:
            return [read_environment(connection, name) for name in _names(connection)]

    def health(self, name: str) -> EnvironmentHealth:
        """How the environment is. Raises NotFound."""
        with self._scope.reading() as connection:
            return read_health(connection, name)

    def utilisation(self, name: str) -> Utilisation:
        """What the environment's instances may use, beside its capacity. Raises NotFound."""
        with self._scope.reading() as connection:
            return read_utilisation(connection, name)

    def warm(self, environment: str) -> Mapping[str, tuple[RunningRelease, ...]]:
        """By service: earlier stable releases whose instances are kept warm, newest first."""
        with self._scope.reading() as connection:
            return read_warm(connection, environment)

    def names_in_use(self, environment: str, among: Collection[str]) -> frozenset[str]:
        """Those of the names that a deployment of the environment has."""
        query = select(deployments.c.name).where(
            deployments.c.environment == environment, deployments.c.name.in_(among)
        )
        with self._scope.reading() as connection:
            return frozenset(connection.scalars(query))

    def opened_since(self, environment: str, since: datetime) -> int:
        """How many deployments of the environment were opened since."""
        return self.count(Criteria(environment=environment, since=since))

    def unsuccessful_since(self, environment: str, since: datetime) -> int:
        """How many of those were unsuccessful."""
        return self.count(Criteria(environment=environment, since=since, statuses=UNSUCCESSFUL))


def _names(connection: Connection) -> list[str]:
    return list(connection.scalars(select(environments.c.name).order_by(environments.c.name)))
