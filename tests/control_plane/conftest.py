"""Homes of their own for control planes, stopped at the end."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from deployments.adapters.control_plane import ControlPlane
from deployments.adapters.supervisor.host import ProcessHost
from deployments.settings import Settings

Homes = Callable[[], ControlPlane]


def control_plane_at(home: Path) -> ControlPlane:
    """The control plane of a home; two of the same home are two commands."""
    settings = Settings(home=home, run_directory=home / "run")
    host = ProcessHost(home / "control" / "supervisor", settings.run_directory / "control")
    return ControlPlane(settings, host, is_durable=False)


@pytest.fixture(scope="module")
def new_home(run_directory: Path) -> Iterator[Callable[[], Path]]:
    """Makes homes; whatever runs in them is stopped at the end."""
    with ExitStack() as stack:

        def make() -> Path:
            home = Path(tempfile.mkdtemp(prefix="h-", dir=run_directory))
            home.chmod(0o755)
            stack.callback(lambda: control_plane_at(home).down())
            return home

        yield make
