"""The embedded PostgreSQL: the default where no database URL is set."""

from deployments.adapters.postgres.embedded import EmbeddedPostgres

__all__ = ["EmbeddedPostgres"]
