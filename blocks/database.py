"""Where records are kept."""

from __future__ import annotations

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from deployments.store.records import Records


class FairleadDatabase(Block):
    """A PostgreSQL that keeps Fairlead's records."""

    _block_type_name = "Fairlead Database"
    _block_type_slug = "fairlead-database"
    _description = "A PostgreSQL that keeps Fairlead's records: environments, deployments, events, the journal."

    url: SecretStr = Field(
        description="Address with its password, like postgresql://user:password@host:5432/fairlead.",
        examples=["postgresql://fairlead@db.example.com/fairlead"],
    )

    def records(self) -> Records:
        """The store at this address; nothing is connected yet. Raises Refused when it is not one of PostgreSQL."""
        return Records(self.url.get_secret_value())
