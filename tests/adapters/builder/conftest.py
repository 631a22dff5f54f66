"""A workshop in a directory of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.adapters.builder.workshop import Workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """Empty: no wheels, no sources."""
    return Workshop(tmp_path)
