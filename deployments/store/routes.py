"""Routes: the public and preview address of each service, as last declared."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Row, delete, select
from sqlalchemy.dialects.postgresql import insert

from deployments.domain.entities import Route
from deployments.store.tables import routes
from deployments.store.transactions import Lease, Scope


class Routes:
    """The routes of all environments."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def record(self, lease: Lease, declared: Sequence[Route]) -> None:
        """Write them; one that is known already gets the new ports."""
        with self._scope.writing(lease) as connection:
            for route in declared:
                row = insert(routes).values(
                    environment=lease.environment,
                    service=route.service,
                    port=route.port,
                    preview_port=route.preview_port,
                )
                ports = {"port": row.excluded.port, "preview_port": row.excluded.preview_port}
                connection.execute(row.on_conflict_do_update(index_elements=["environment", "service"], set_=ports))

    def remove(self, lease: Lease, services: Sequence[str]) -> None:
        """Forget them; unknown ones are fine."""
        gone = delete(routes).where(routes.c.environment == lease.environment, routes.c.service.in_(services))
        with self._scope.writing(lease) as connection:
            connection.execute(gone)

    def of_environment(self, environment: str) -> list[Route]:
        """The routes of an environment, by service."""
        query = select(routes).where(routes.c.environment == environment).order_by(routes.c.service)
        with self._scope.reading() as connection:
            return [to_route(row) for row in connection.execute(query)]


def to_route(row: Row[tuple[object, ...]]) -> Route:
    """The entity of a row."""
    return Route(
        environment=row.environment,
        service=row.service,
        port=row.port,
        preview_port=row.preview_port,
        created_at=row.created_at,
    )
