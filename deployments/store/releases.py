"""Releases that were built, by digest. They belong to no environment: the same content is built once for all."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Row, delete, select
from sqlalchemy.dialects.postgresql import insert

from deployments.domain.entities import Release
from deployments.store.tables import releases
from deployments.store.transactions import Scope


class Releases:
    """Built releases."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def record(self, release: Release) -> None:
        """Write it; one that is known already stays as it is, but for where it lies now."""
        row = insert(releases).values(
            digest=release.digest,
            service=release.service,
            version=release.version,
            path=release.path,
            size_bytes=release.size_bytes,
            built_at=release.built_at,
            deployment=release.deployment,
        )
        moved = {"path": row.excluded.path, "size_bytes": row.excluded.size_bytes}
        with self._scope.writing() as connection:
            connection.execute(row.on_conflict_do_update(index_elements=["digest"], set_=moved))

    def find(self, digest: str) -> Release | None:
        """The release of this digest."""
        with self._scope.reading() as connection:
            row = connection.execute(select(releases).where(releases.c.digest == digest)).one_or_none()
        return None if row is None else to_release(row)

    def built(self, among: Collection[str]) -> frozenset[str]:
        """Those of the digests that were built."""
        query = select(releases.c.digest).where(releases.c.digest.in_(among))
        with self._scope.reading() as connection:
            return frozenset(connection.scalars(query))

    def of_service(self, service: str, *, limit: int = 50) -> list[Release]:
        """The releases of a service, newest first."""
        query = select(releases).where(releases.c.service == service)
        with self._scope.reading() as connection:
            rows = connection.execute(query.order_by(releases.c.built_at.desc(), releases.c.digest).limit(limit))
            return [to_release(row) for row in rows]

    def forget(self, digest: str) -> None:
        """It is not on disk any more; an unknown one is fine."""
        with self._scope.writing() as connection:
            connection.execute(delete(releases).where(releases.c.digest == digest))


def to_release(row: Row[tuple[object, ...]]) -> Release:
    """The entity of a row."""
    return Release(
        digest=row.digest,
        service=row.service,
        version=row.version,
        path=row.path,
        size_bytes=row.size_bytes,
        built_at=row.built_at,
        deployment=row.deployment,
    )
