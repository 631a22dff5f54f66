"""Prefect's database on a PostgreSQL that the team runs: a database of its own beside Fairlead's."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from deployments.domain.errors import DatabaseUnavailable, Refused


def ensure_prefect_database(url: str) -> str:
    """The URL of `<database>_prefect` on the same server, made unless it is there.

    Prefect and Fairlead both keep tables named `deployment` and `alembic_version`, so they cannot share one database.
    Raises DatabaseUnavailable, or Refused when the user may not create databases.
    """
    parts = urlsplit(url)
    name = f"{parts.path.lstrip('/') or 'fairlead'}_prefect"
    try:
        with psycopg.connect(_libpq(url), autocommit=True, connect_timeout=10) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
            if found is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
        pass  # another command made it between the look and the order
    except psycopg.errors.InsufficientPrivilege as error:
        raise Refused(
            f"The database user may not create the database {name}, which Prefect needs.",
            remedy=f"Have it created and owned by the user that FAIRLEAD_DATABASE_URL names: create database {name}.",
        ) from error
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(
            f"The database that FAIRLEAD_DATABASE_URL names did not answer: {error}.",
            remedy="Start it, or correct the URL.",
        ) from error
    return urlunsplit(parts._replace(path=f"/{name}"))


def _libpq(url: str) -> str:
    """Without SQLAlchemy's driver name."""
    scheme, _, rest = url.partition("://")
    return f"{scheme.partition('+')[0]}://{rest}"
