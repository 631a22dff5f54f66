"""Alembic's entry: runs the migrations on the connection it is given, within that connection's transaction."""

from __future__ import annotations

from alembic import context

from deployments.store.migrate import VERSION_TABLE
from deployments.store.tables import SCHEMA, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    version_table_schema=SCHEMA,
    include_schemas=True,
)
with context.begin_transaction():
    context.run_migrations()
