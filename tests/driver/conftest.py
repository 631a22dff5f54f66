"""A stage per test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.driver.stage import Stage


@pytest.fixture
def stage(fresh_database_url: str, tmp_path: Path) -> Iterator[Stage]:
    """An empty environment on records of its own."""
    found = Stage(fresh_database_url, tmp_path)
    yield found
    found.close()
