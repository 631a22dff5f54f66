"""Locks as the record keeps them."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import TypeAdapter

from deployments.domain.ports import SourceLock

LOCKS = TypeAdapter(dict[str, SourceLock])


def locks_to_json(locks: Mapping[str, SourceLock]) -> dict[str, object]:
    """Locks as JSON values, by service."""
    found: dict[str, object] = LOCKS.dump_python(dict(locks), mode="json")
    return found


def locks_from_json(value: Mapping[str, object]) -> dict[str, SourceLock]:
    """Locks that were kept."""
    return LOCKS.validate_python(dict(value))
