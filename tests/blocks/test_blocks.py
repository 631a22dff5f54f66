"""Blocks against a real Prefect server: saved, loaded, secrets kept, and each gives its adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from prefect.blocks.core import Block
from prefect.client.orchestration import get_client

import blocks
from blocks import FairleadDatabase, InternalBuilds, InternalProvider, InternalProxy
from deployments.domain.errors import Refused

PASSWORD = "open-sesame"


@pytest.mark.parametrize("block", blocks.ALL, ids=lambda block: block.__name__)
def test_every_block_says_what_it_is_and_describes_its_fields(block: type[Block]) -> None:
    assert block.get_block_type_slug().startswith("fairlead-")
    assert block.get_description()
    described = {name for name, field in block.model_fields.items() if field.description}
    own = set(block.model_fields) - set(Block.model_fields)
    assert own <= described


def test_a_database_is_saved_with_its_secret_hidden_and_gives_records(prefect_api: str) -> None:
    url = f"postgresql://fairlead:{PASSWORD}@records.internal/fairlead"
    document = cast(Any, FairleadDatabase(url=url).save("team", overwrite=True, _sync=True))
    with get_client(sync_client=True) as client:
        shown = client.request("GET", f"/block_documents/{document}").text
    assert "records.internal" not in shown
    assert PASSWORD not in shown
    loaded = cast(FairleadDatabase, FairleadDatabase.load("team", _sync=True))
    assert PASSWORD not in repr(loaded)
    assert loaded.records().address
    assert PASSWORD not in loaded.records().address


def test_a_database_that_is_not_postgresql_is_refused() -> None:
    with pytest.raises(Refused, match="PostgreSQL only"):
        FairleadDatabase(url="sqlite:///x.db").records()


def test_blocks_of_the_internal_provider_give_their_adapters_and_start_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert InternalProvider(home=home).supervisor().observe_all("production") == ()
    assert InternalProxy(home=home, environment="production").proxy().highest_fence() == 0
    assert InternalBuilds(home=home).builder().find("0" * 64) is None
    assert not (home / "data-plane").exists()
