"""Real supervisors in directories of their own, gone when the test is over."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from tests.adapters.supervisor.worlds import World


@pytest.fixture
def short_directory() -> Iterator[Path]:
    """Short enough for sockets."""
    with made_short() as directory:
        yield directory


@pytest.fixture(scope="package")
def shared_world() -> Iterator[World]:
    """A data plane for the tests that leave the supervisor itself alone."""
    with made_short() as directory, ended(World(directory, settle=timedelta(hours=1))) as world:
        yield world


@pytest.fixture
def room(shared_world: World, short_directory: Path) -> Iterator[World]:
    """A corner of the shared data plane. Instances need an hour to settle: one that ends has failed to start."""
    room = shared_world.room(short_directory)
    try:
        yield room
    finally:
        room.empty()


@pytest.fixture
def world(short_directory: Path) -> Iterator[World]:
    """A data plane of the test's own, whose instances need an hour to settle."""
    with ended(World(short_directory, settle=timedelta(hours=1))) as world:
        yield world


@pytest.fixture
def settled_world(short_directory: Path) -> Iterator[World]:
    """A data plane whose instances settle at once: one that ends has crashed."""
    with ended(World(short_directory, settle=timedelta(0))) as world:
        yield world


@contextmanager
def made_short() -> Iterator[Path]:
    """A short directory, removed afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="fl-", dir="/tmp"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def ended(world: World) -> Iterator[World]:
    """Nothing of it runs afterwards."""
    try:
        yield world
    finally:
        world.end()
