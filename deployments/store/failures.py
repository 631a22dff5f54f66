"""What the database says when it cannot, in this project's words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import exc

from deployments.domain.errors import Broken, DatabaseUnavailable, DeploymentError, DiskFull

DISK_FULL = "53100"
LOCK_TIMEOUT = "55P03"
STATEMENT_TIMEOUT = "57014"
NO_TABLES = frozenset({"42P01", "3F000", "42703"})
"""Undefined table, schema or column."""
PASSING = ("08", "53", "57", "40", "25P03", LOCK_TIMEOUT)
"""Connection, resources, shutdown, serialisation, and time spent idle or waiting: the same call may succeed later."""
START_IT = "Start it (`fairlead up`), or set FAIRLEAD_DATABASE_URL to a PostgreSQL that answers."


@contextmanager
def database_failures(address: str) -> Iterator[None]:
    """Raise DatabaseUnavailable or DiskFull instead of what the driver raises; what is neither passes as it is."""
    try:
        yield
    except exc.TimeoutError as error:
        raise DatabaseUnavailable(
            f"All connections to the database at {address} are busy.", remedy="Try again.", address=address
        ) from error
    except (exc.DBAPIError, psycopg.Error) as error:
        translated = translate(error, address)
        if translated is None:
            raise
        raise translated from error


def said(error: object) -> str:
    """What the server said, without its own hints; nothing when it was not the server."""
    diagnosis = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return (diagnosis or "").rstrip(".")


def translate(error: exc.DBAPIError | psycopg.Error, address: str) -> DeploymentError | None:
    """The domain's error for the driver's; None when the statement itself was wrong."""
    original = error.orig if isinstance(error, exc.DBAPIError) else error
    state = getattr(original, "sqlstate", None) or ""
    text = " ".join(str(original).split())
    if state == DISK_FULL or "No space left on device" in text:
        return DiskFull(
            f"The disk of the database at {address} is full: {said(original) or text}.",
            remedy="Free some space on it, or give it more; what waits for it then goes on by itself.",
            address=address,
        )
    if state in NO_TABLES:
        return Broken(
            f"The database at {address} lacks tables of this version: {text}.",
            remedy="Bring them up to date: `fairlead up` does.",
            address=address,
        )
    was_cut = isinstance(error, exc.DBAPIError) and error.connection_invalidated
    if was_cut or state.startswith(PASSING) or (not state and isinstance(original, psycopg.OperationalError)):
        return DatabaseUnavailable(
            f"The database at {address} did not answer: {text.rstrip('.?') or type(original).__name__}.",
            remedy="Try again." if state in (LOCK_TIMEOUT, STATEMENT_TIMEOUT) else START_IT,
            address=address,
        )
    return None
