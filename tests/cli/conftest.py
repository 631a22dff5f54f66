"""A place to run commands in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import Commands
from tests.cli.specifications import write_site


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    """A home that nothing was started in, and a directory with a site to deploy."""
    directory = tmp_path / "work"
    directory.mkdir()
    write_site(directory, "one")
    return Commands(tmp_path / "home", directory)
