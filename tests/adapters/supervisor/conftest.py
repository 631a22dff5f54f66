"""Real supervisors in directories of their own, gone when the test is over."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.adapters.supervisor.worlds import World


@pytest.fixture
def short_directory() -> Iterator[Path]:
    """Short enough for sockets."""
    directory = Path(tempfile.mkdtemp(prefix="fl-", dir="/tmp"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def world(short_directory: Path) -> Iterator[World]:
    """A data plane whose instances need an hour to settle: one that ends has failed to start."""
    world = World(short_directory, settle=timedelta(hours=1))
    try:
        yield world
    finally:
        world.end()


@pytest.fixture
def settled_world(short_directory: Path) -> Iterator[World]:
    """A data plane whose instances settle at once: one that ends has crashed."""
    world = World(short_directory, settle=timedelta(0))
    try:
        yield world
    finally:
        world.end()
