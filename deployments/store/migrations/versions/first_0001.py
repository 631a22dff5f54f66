"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from deployments.store.tables import TransactionId

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create everything."""
    op.create_table(
        "events",
        sa.Column("sequence", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("transaction", TransactionId(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("deployment", sa.Text(), nullable=True),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("service", sa.Text(), nullable=True),
        sa.Column("severity", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("finding", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_events")),
        schema="fairlead",
        comment="Append-only. Read in the order (transaction, sequence): see store/events.py.",
    )
    op.create_index(
        op.f("ix_events_deployment_transaction_sequence"),
        "events",
        ["deployment", "transaction", "sequence"],
        unique=False,
        schema="fairlead",
    )
    op.create_index(
        op.f("ix_events_environment_transaction_sequence"),
        "events",
        ["environment", "transaction", "sequence"],
        unique=False,
        schema="fairlead",
    )
    op.create_index(
        op.f("ix_events_transaction_sequence"), "events", ["transaction", "sequence"], unique=False, schema="fairlead"
    )
    op.create_table(
        "projects",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("owner", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_projects")),
        schema="fairlead",
    )
    op.create_table(
        "releases",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("built_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("deployment", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_releases")),
        schema="fairlead",
    )
    op.create_table(
        "environments",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("record", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["project"], ["fairlead.projects.name"], name=op.f("fk_environments_project")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_environments")),
        schema="fairlead",
    )
    op.create_index(op.f("ix_environments_project"), "environments", ["project"], unique=False, schema="fairlead")
    op.create_table(
        "deployments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("'none'"), nullable=False),
        sa.Column("message", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=True),
        sa.Column("retry", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("flow_run", sa.Text(), nullable=True),
        sa.Column("is_rollback", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("services", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("steps_total", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("steps_done", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("fence", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["environment"], ["fairlead.environments.name"], name=op.f("fk_deployments_environment")
        ),
        sa.ForeignKeyConstraint(["parent"], ["fairlead.deployments.id"], name=op.f("fk_deployments_parent")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployments")),
        sa.UniqueConstraint("environment", "name", name=op.f("uq_deployments_environment_name")),
        schema="fairlead",
    )
    op.create_index(
        op.f("ix_deployments_created_at_id"), "deployments", ["created_at", "id"], unique=False, schema="fairlead"
    )
    op.create_index(
        op.f("ix_deployments_environment_created_at_id"),
        "deployments",
        ["environment", "created_at", "id"],
        unique=False,
        schema="fairlead",
    )
    op.create_index(
        op.f("ix_deployments_flow_run_created_at"),
        "deployments",
        ["flow_run", "created_at"],
        unique=False,
        schema="fairlead",
        postgresql_where=sa.text("flow_run IS NOT NULL"),
    )
    op.create_index(op.f("ix_deployments_name"), "deployments", ["name"], unique=False, schema="fairlead")
    op.create_index(
        op.f("ix_deployments_parent"),
        "deployments",
        ["parent"],
        unique=False,
        schema="fairlead",
        postgresql_where=sa.text("parent IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_deployments_project_created_at_id"),
        "deployments",
        ["project", "created_at", "id"],
        unique=False,
        schema="fairlead",
    )
    op.create_index(
        op.f("ix_deployments_status_created_at_id"),
        "deployments",
        ["status", "created_at", "id"],
        unique=False,
        schema="fairlead",
    )
    op.create_index(
        "ix_deployments_unfinished",
        "deployments",
        ["environment", "created_at"],
        unique=False,
        schema="fairlead",
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_table(
        "instances",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("release", sa.Text(), nullable=False),
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("program", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("retire_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["environment"], ["fairlead.environments.name"], name=op.f("fk_instances_environment")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instances")),
        schema="fairlead",
    )
    op.create_index(op.f("ix_instances_deployment"), "instances", ["deployment"], unique=False, schema="fairlead")
    op.create_index(
        op.f("ix_instances_environment_service"),
        "instances",
        ["environment", "service"],
        unique=False,
        schema="fairlead",
        postgresql_where=sa.text("state <> 'retired'"),
    )
    op.create_index(
        op.f("ix_instances_retire_at"),
        "instances",
        ["retire_at"],
        unique=False,
        schema="fairlead",
        postgresql_where=sa.text("state <> 'retired' AND retire_at IS NOT NULL"),
    )
    op.create_table(
        "leases",
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("fence", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("ttl", sa.Interval(), nullable=True),
        sa.Column("acquired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "expires_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["environment"], ["fairlead.environments.name"], name=op.f("fk_leases_environment")),
        sa.PrimaryKeyConstraint("environment", name=op.f("pk_leases")),
        schema="fairlead",
        comment="The one writer of each environment. Writers lock the row FOR KEY SHARE, takers FOR UPDATE.",
    )
    op.create_table(
        "quarantine",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("deployment", sa.Text(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_by", sa.Text(), nullable=True),
        sa.Column("lift_reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment"], ["fairlead.environments.name"], name=op.f("fk_quarantine_environment")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
        schema="fairlead",
    )
    op.create_index(
        "uq_quarantine_active",
        "quarantine",
        ["environment", "revision"],
        unique=True,
        schema="fairlead",
        postgresql_where=sa.text("lifted_at IS NULL"),
    )
    op.create_table(
        "resources",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("values", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("is_temporary", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["environment"], ["fairlead.environments.name"], name=op.f("fk_resources_environment")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_resources")),
        schema="fairlead",
    )
    op.create_index(
        op.f("ix_resources_environment_kind"), "resources", ["environment", "kind"], unique=False, schema="fairlead"
    )
    op.create_table(
        "routes",
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("preview_port", sa.Integer(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["environment"], ["fairlead.environments.name"], name=op.f("fk_routes_environment")),
        sa.PrimaryKeyConstraint("environment", "service", name=op.f("pk_routes")),
        schema="fairlead",
    )
    op.create_table(
        "commands",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column(
            "requested_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("obeyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.ForeignKeyConstraint(["deployment"], ["fairlead.deployments.id"], name=op.f("fk_commands_deployment")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commands")),
        schema="fairlead",
    )
    op.create_index(
        "uq_commands_pending",
        "commands",
        ["deployment", "kind"],
        unique=True,
        schema="fairlead",
        postgresql_where=sa.text("obeyed_at IS NULL"),
    )
    op.create_table(
        "documents",
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "written_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["deployment"], ["fairlead.deployments.id"], name=op.f("fk_documents_deployment")),
        sa.PrimaryKeyConstraint("deployment", "kind", name=op.f("pk_documents")),
        schema="fairlead",
        comment="What is long: specification, plan, facts, undo, report. Apart, so that history reads short rows.",
    )
    op.create_table(
        "journal",
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("action", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("receipt", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "intended_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(receipt IS NULL) = (done_at IS NULL)", name=op.f("ck_journal_receipt_when_done")),
        sa.ForeignKeyConstraint(["deployment"], ["fairlead.deployments.id"], name=op.f("fk_journal_deployment")),
        sa.PrimaryKeyConstraint("deployment", "key", name=op.f("pk_journal")),
        schema="fairlead",
    )
    op.create_table(
        "stables",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("release", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("endpoints", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("cpu", sa.Float(), server_default=sa.text("0"), nullable=False),
        sa.Column("memory_mb", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(["deployment"], ["fairlead.deployments.id"], name=op.f("fk_stables_deployment")),
        sa.ForeignKeyConstraint(["environment"], ["fairlead.environments.name"], name=op.f("fk_stables_environment")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stables")),
        sa.UniqueConstraint("deployment", "service", name=op.f("uq_stables_deployment_service")),
        schema="fairlead",
        comment="Every release ever marked stable; the newest of a service is what a rollback returns to.",
    )
    op.create_index(
        op.f("ix_stables_environment_service_id"),
        "stables",
        ["environment", "service", "id"],
        unique=False,
        schema="fairlead",
    )
