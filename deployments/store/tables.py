"""The tables. They live in a schema of their own, so a database may be shared (with Prefect's, for instance)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Interval,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine, UserDefinedType

from deployments.store.columns import AnyText

SCHEMA = "fairlead"
NOW = func.clock_timestamp()
"""Database time. `now()` is the transaction's start, which a stopped process may have left long behind."""

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    },
)


class TransactionId(UserDefinedType[str]):
    """PostgreSQL's xid8: a transaction's number, which never wraps."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Its name in DDL."""
        return "xid8"


def _moment(name: str, *, nullable: bool = False, default: bool = False) -> Column[datetime]:
    return Column(
        name, DateTime(timezone=True), nullable=nullable, server_default=text("clock_timestamp()") if default else None
    )


def _text(name: str, *, primary_key: bool = False, nullable: bool = False, default: str | None = None) -> Column[str]:
    server_default = None if default is None else text(f"'{default}'")
    return Column(name, Text, primary_key=primary_key, nullable=nullable, server_default=server_default)


def _prose(name: str) -> Column[str]:
    return Column(name, AnyText, nullable=False, server_default=text("''"))


def _json(name: str, *, nullable: bool = False) -> Column[object]:
    kind = JSONB(none_as_null=nullable)
    return Column(name, kind, nullable=nullable, server_default=None if nullable else text("'{}'"))


def _reference(name: str, target: str, *, primary_key: bool = False, nullable: bool = False) -> Column[str]:
    return Column(name, Text, ForeignKey(f"{SCHEMA}.{target}"), primary_key=primary_key, nullable=nullable)


def _number(name: str, kind: type[TypeEngine[int]] = Integer, *, default: int | None = 0) -> Column[int]:
    return Column(name, kind, nullable=False, server_default=None if default is None else text(str(default)))


projects = Table(
    "projects",
    metadata,
    _text("name", primary_key=True),
    _prose("description"),
    _text("owner", default=""),
    _moment("created_at", default=True),
)

environments = Table(
    "environments",
    metadata,
    _text("name", primary_key=True),
    _reference("project", "projects.name"),
    Column("record", JSONB, nullable=False),
    _number("version", default=1),
    _moment("created_at", default=True),
    _moment("updated_at", default=True),
    Index(None, "project"),
)

leases = Table(
    "leases",
    metadata,
    _reference("environment", "environments.name", primary_key=True),
    _text("owner", nullable=True),
    _number("fence", BigInteger),
    Column("ttl", Interval, nullable=True),
    _moment("acquired_at", nullable=True),
    _moment("expires_at", default=True),
    comment="The one writer of each environment. Writers lock the row FOR KEY SHARE, takers FOR UPDATE.",
)

deployments = Table(
    "deployments",
    metadata,
    _text("id", primary_key=True),
    _text("project"),
    _reference("environment", "environments.name"),
    _text("name"),
    _text("status"),
    _text("reason", default="none"),
    _prose("message"),
    _text("created_by"),
    _text("correlation_id"),
    _reference("parent", "deployments.id", nullable=True),
    _number("retry"),
    _text("flow_run", nullable=True),
    Column("is_rollback", Boolean, nullable=False, server_default=text("false")),
    Column("services", JSONB, nullable=False, server_default=text("'[]'")),
    _number("steps_total"),
    _number("steps_done"),
    _number("version"),
    _number("fence", BigInteger),
    _moment("created_at", default=True),
    _moment("updated_at", default=True),
    _moment("finished_at", nullable=True),
    UniqueConstraint("environment", "name"),
    Index(None, "name"),
    Index(None, "created_at", "id"),
    Index(None, "environment", "created_at", "id"),
    Index(None, "project", "created_at", "id"),
    Index(None, "status", "created_at", "id"),
    Index(None, "flow_run", "created_at", postgresql_where=text("flow_run IS NOT NULL")),
    Index(None, "parent", postgresql_where=text("parent IS NOT NULL")),
    Index(
        "ix_deployments_unfinished",
        "environment",
        "created_at",
        postgresql_where=text("finished_at IS NULL"),
    ),
)

documents = Table(
    "documents",
    metadata,
    _reference("deployment", "deployments.id", primary_key=True),
    _text("kind", primary_key=True),
    Column("body", JSONB, nullable=False),
    _moment("written_at", default=True),
    comment="What is long: specification, plan, facts, undo, report. Apart, so that history reads short rows.",
)

journal = Table(
    "journal",
    metadata,
    _reference("deployment", "deployments.id", primary_key=True),
    _text("key", primary_key=True),
    Column("position", BigInteger, Identity(always=True), nullable=False),
    _json("action"),
    _json("receipt", nullable=True),
    _number("fence", BigInteger, default=None),
    _number("attempts", default=1),
    _moment("intended_at", default=True),
    _moment("done_at", nullable=True),
    CheckConstraint("(receipt IS NULL) = (done_at IS NULL)", name="receipt_when_done"),
)

events = Table(
    "events",
    metadata,
    Column("sequence", BigInteger, Identity(always=True), primary_key=True),
    Column("transaction", TransactionId, nullable=False, server_default=text("pg_current_xact_id()")),
    _text("family"),
    _text("kind"),
    _text("environment"),
    _text("deployment", nullable=True),
    _text("correlation_id"),
    _text("source"),
    _moment("at", default=True),
    _text("subject", nullable=True),
    _text("service", nullable=True),
    _text("severity", nullable=True),
    _prose("message"),
    _json("data"),
    _json("finding", nullable=True),
    Index(None, "transaction", "sequence"),
    Index(None, "deployment", "transaction", "sequence"),
    Index(None, "environment", "transaction", "sequence"),
    comment="Append-only. Read in the order (transaction, sequence): see store/events.py.",
)

commands = Table(
    "commands",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _reference("deployment", "deployments.id"),
    _text("kind"),
    _text("requested_by"),
    _prose("reason"),
    _moment("requested_at", default=True),
    _moment("obeyed_at", nullable=True),
    _prose("outcome"),
    Index("uq_commands_pending", "deployment", "kind", unique=True, postgresql_where=text("obeyed_at IS NULL")),
)

releases = Table(
    "releases",
    metadata,
    _text("digest", primary_key=True),
    _text("service"),
    _text("version"),
    _text("path"),
    _number("size_bytes", BigInteger),
    _moment("built_at", default=True),
    _text("deployment", nullable=True),
)

stables = Table(
    "stables",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _reference("environment", "environments.name"),
    _text("service"),
    _text("revision"),
    _text("release"),
    _text("version"),
    _reference("deployment", "deployments.id"),
    Column("endpoints", JSONB, nullable=False),
    Column("cpu", Float, nullable=False, server_default=text("0")),
    _number("memory_mb"),
    _number("fence", BigInteger, default=None),
    _moment("since", default=True),
    UniqueConstraint("deployment", "service"),
    Index(None, "environment", "service", "id"),
    comment="Every release ever marked stable; the newest of a service is what a rollback returns to.",
)

instances = Table(
    "instances",
    metadata,
    _text("id", primary_key=True),
    _reference("environment", "environments.name"),
    _text("service"),
    _text("revision"),
    _text("release"),
    _text("deployment"),
    Column("port", Integer, nullable=True),
    _text("state"),
    _json("program"),
    _moment("created_at", default=True),
    _moment("updated_at", default=True),
    _moment("retire_at", nullable=True),
    Index(None, "environment", "service", postgresql_where=text("state <> 'retired'")),
    Index(None, "retire_at", postgresql_where=text("state <> 'retired' AND retire_at IS NOT NULL")),
    Index(None, "deployment"),
)

routes = Table(
    "routes",
    metadata,
    _reference("environment", "environments.name", primary_key=True),
    _text("service", primary_key=True),
    _number("port", default=None),
    _number("preview_port", default=None),
    _moment("created_at", default=True),
)

resources = Table(
    "resources",
    metadata,
    _text("key", primary_key=True),
    _reference("environment", "environments.name"),
    _text("name"),
    _text("kind"),
    _json("values"),
    _text("deployment"),
    Column("is_temporary", Boolean, nullable=False, server_default=text("false")),
    _moment("created_at", default=True),
    Index(None, "environment", "kind"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _reference("environment", "environments.name"),
    _text("revision"),
    _text("service"),
    _prose("reason"),
    _text("deployment", nullable=True),
    _moment("since", default=True),
    _moment("lifted_at", nullable=True),
    _text("lifted_by", nullable=True),
    _prose("lift_reason"),
    Index("uq_quarantine_active", "environment", "revision", unique=True, postgresql_where=text("lifted_at IS NULL")),
)
