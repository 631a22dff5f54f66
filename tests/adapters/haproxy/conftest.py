"""A running proxy with a service under load."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.adapters.supervisor import DataPlane
from deployments.domain.ports import RouteDeclaration
from tests.fakes.proxy_world import RealWorld, real_world
from tests.load import LoadGenerator
from tests.ports import free_port

FENCE = 5


@pytest.fixture
def world() -> Iterator[RealWorld]:
    """A proxy that runs, armed with FENCE."""
    with real_world() as real:
        real.proxy.ensure_running(fence=FENCE)
        yield real


@pytest.fixture
def web(world: RealWorld) -> RouteDeclaration:
    """A route whose stable instance is `web-1`, release `v1`."""
    route = RouteDeclaration("web", free_port(), free_port(), (world.endpoint("web-1", "v1"),))
    world.proxy.ensure_routes([route], fence=FENCE)
    return route


@pytest.fixture
def load(web: RouteDeclaration) -> Iterator[LoadGenerator]:
    """Kept and new connections and slow requests on the public address of `web`; running."""
    with LoadGenerator(f"http://127.0.0.1:{web.port}/", slow_path="/slow/0.3", rate=150) as generator:
        generator.wait_for(20)
        yield generator


@pytest.fixture
def data_plane() -> Iterator[tuple[DataPlane, Path]]:
    """A real supervisor that runs, and the directory that it is in."""
    directory = Path(tempfile.mkdtemp(prefix="fl-", dir="/tmp"))
    plane = DataPlane(directory / "s", directory / "r")
    try:
        plane.ensure_running()
        yield plane, directory
    finally:
        plane.stop()
        shutil.rmtree(directory, ignore_errors=True)
