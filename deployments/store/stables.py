"""Which release of each service is stable: what serves, and what a rollback returns to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, func, select, update
from sqlalchemy.dialects.postgresql import insert

from deployments.domain.entities import InstanceLife
from deployments.domain.events import DeploymentEventKind
from deployments.domain.facts import RunningRelease
from deployments.domain.ports import Endpoint
from deployments.store.events import append_for
from deployments.store.tables import NOW, instances, stables
from deployments.store.transactions import Lease, Scope


@dataclass(frozen=True, slots=True)
class StableRelease:
    """One revision of one service that baked with every check passing. `cpu` and `memory_mb` are per instance."""

    service: str
    revision: str
    release: str
    version: str
    endpoints: tuple[Endpoint, ...]
    cpu: float = 0.0
    memory_mb: int = 0
    environment: str = ""
    deployment: str = ""
    since: datetime | None = None

    def as_running(self) -> RunningRelease:
        """The fact that a plan is made from."""
        return RunningRelease(
            service=self.service,
            revision=self.revision,
            release=self.release,
            version=self.version,
            deployment=self.deployment,
            endpoints=self.endpoints,
            cpu=self.cpu,
            memory_mb=self.memory_mb,
        )


class Stables:
    """Stable releases, present and past."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def mark(self, lease: Lease, deployment: str, releases: Sequence[StableRelease]) -> None:
        """Mark all releases of a deployment stable, and their instances serving, in one transaction.

        This is the point of no return, for all services or for none. Doing it again changes nothing.
        """
        with self._scope.writing(lease) as connection:
            for release in releases:
                row = insert(stables).values(
                    environment=lease.environment,
                    service=release.service,
                    revision=release.revision,
                    release=release.release,
                    version=release.version,
                    deployment=deployment,
                    endpoints=list(release.endpoints),
                    cpu=release.cpu,
                    memory_mb=release.memory_mb,
                    fence=lease.fence,
                )
                if connection.scalar(row.on_conflict_do_nothing().returning(stables.c.id)) is None:
                    continue
                names = [endpoint.instance for endpoint in release.endpoints]
                connection.execute(
                    update(instances)
                    .where(instances.c.environment == lease.environment, instances.c.id.in_(names))
                    .values(state=InstanceLife.SERVING.value, retire_at=None, updated_at=NOW)
                )
                append_for(
                    connection,
                    deployment,
                    DeploymentEventKind.MARKED_STABLE,
                    self._scope.source,
                    service=release.service,
                    message=f"{release.service} {release.version} is stable.",
                    data={"revision": release.revision, "release": release.release, "version": release.version},
                )

    def current(self, environment: str) -> Mapping[str, StableRelease]:
        """By service: what is stable now."""
        query = (
            select(stables)
            .distinct(stables.c.service)
            .where(stables.c.environment == environment)
            .order_by(stables.c.service, stables.c.id.desc())
        )
        with self._scope.reading() as connection:
            return {row.service: to_stable(row) for row in connection.execute(query)}

    def previous(self, environment: str) -> Mapping[str, StableRelease]:
        """By service: the last stable release of another revision than the present one; what a rollback returns to."""
        present = (
            select(stables.c.service, stables.c.revision)
            .distinct(stables.c.service)
            .where(stables.c.environment == environment)
            .order_by(stables.c.service, stables.c.id.desc())
            .subquery()
        )
        query = (
            select(stables)
            .distinct(stables.c.service)
            .join(present, present.c.service == stables.c.service)
            .where(stables.c.environment == environment, stables.c.revision != present.c.revision)
            .order_by(stables.c.service, stables.c.id.desc())
        )
        with self._scope.reading() as connection:
            return {row.service: to_stable(row) for row in connection.execute(query)}

    def history(self, environment: str, service: str, *, limit: int = 50) -> list[StableRelease]:
        """What was ever stable, newest first."""
        query = (
            select(stables)
            .where(stables.c.environment == environment, stables.c.service == service)
            .order_by(stables.c.id.desc())
            .limit(limit)
        )
        with self._scope.reading() as connection:
            return [to_stable(row) for row in connection.execute(query)]

    def of_deployment(self, deployment: str) -> Mapping[str, StableRelease]:
        """By service: what a deployment marked stable; empty when it did not come that far."""
        query = select(stables).where(stables.c.deployment == deployment)
        with self._scope.reading() as connection:
            return {row.service: to_stable(row) for row in connection.execute(query)}

    def last_deployment(self, environment: str) -> str | None:
        """The deployment that marked anything stable last."""
        query = select(stables.c.deployment).where(
            stables.c.id == select(func.max(stables.c.id)).where(stables.c.environment == environment).scalar_subquery()
        )
        with self._scope.reading() as connection:
            return connection.scalar(query)


def to_stable(row: Row[tuple[object, ...]]) -> StableRelease:
    """The release of a row."""
    return StableRelease(
        service=row.service,
        revision=row.revision,
        release=row.release,
        version=row.version,
        endpoints=tuple(Endpoint(**endpoint) for endpoint in row.endpoints),
        cpu=row.cpu,
        memory_mb=row.memory_mb,
        environment=row.environment,
        deployment=row.deployment,
        since=row.since,
    )
