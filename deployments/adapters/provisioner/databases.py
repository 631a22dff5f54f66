"""Databases of services, on whichever PostgreSQL keeps our own records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from deployments.domain.errors import DatabaseUnavailable


class Databases:
    """`server` returns the URL of any database there, starting the server when that is ours."""

    def __init__(self, server: Callable[[], str]) -> None:
        """Nothing is asked yet."""
        self._server = server

    def ensure(self, name: str) -> bool:
        """Make it unless it is there; whether it was made."""
        with self._connected() as connection:
            if self._has(connection, name):
                return False
            try:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                return False
            return True

    def exists(self, name: str) -> bool:
        """Whether it is there."""
        with self._connected() as connection:
            return self._has(connection, name)

    def drop(self, name: str) -> None:
        """Remove it and cut its connections; one that is not there is fine."""
        with self._connected() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def url(self, name: str) -> str:
        """As libpq and everything that imitates it takes it; strict parsers want a host even beside a socket."""
        parts = urlsplit(self._server())
        place = parts.netloc if parts.hostname else f"{parts.netloc}localhost"
        return urlunsplit(("postgresql", place, f"/{name}", parts.query, ""))

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        parts = urlsplit(self._server())
        try:
            with psycopg.connect(
                urlunsplit(("postgresql", *parts[1:])), autocommit=True, connect_timeout=10
            ) as connection:
                yield connection
        except psycopg.OperationalError as error:
            raise DatabaseUnavailable(f"the database did not answer: {error}.") from error

    def _has(self, connection: psycopg.Connection[tuple[Any, ...]], name: str) -> bool:
        query = "SELECT 1 FROM pg_database WHERE datname = %s"
        return connection.execute(query, (name,)).fetchone() is not None
