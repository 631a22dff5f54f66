"""A Prefect server of the tests' own, on the tests' PostgreSQL: one for the session, started when first asked for.

`prefect_api` is its URL. In the test's own process Prefect's settings point there, and so they do in every process that
inherits this one's environment.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deployments.adapters.control_plane.environment import prefect_environment, server_command, server_environment
from tests.fakes.database import PostgresServer

PATIENCE = 300.0
"""Seconds until the server must answer; its migrations take several on a quiet machine."""


@pytest.fixture(scope="session")
def prefect_api(postgres: PostgresServer, run_directory: Path) -> Iterator[str]:
    """The URL of the session's Prefect API; this process and its children use it while the fixture lives."""
    database = postgres.create_database()
    home = run_directory / "prefect"
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    environment = server_environment(postgres.url(database), port=port, home=home)
    with running_server(environment, port, run_directory / "prefect-server.log"), pointed_at(url, home):
        yield url


@contextmanager
def running_server(environment: dict[str, str], port: int, log: Path) -> Iterator[None]:
    """`prefect server start`, healthy; stopped at the end."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            server_command(port),
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        wait_until_healthy(port, process, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_healthy(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Poll the health route."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the Prefect server did not come up:\n{log.read_text()[-4000:]}")


@contextmanager
def pointed_at(url: str, home: Path) -> Iterator[None]:
    """Prefect in this process and in its children talks to `url`, whether or not Prefect was imported before."""
    wanted = prefect_environment(url, home)
    before = {name: os.environ.get(name) for name in wanted}
    os.environ |= wanted
    reload_settings()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        reload_settings()


def reload_settings() -> None:
    """Prefect reads its environment when it is imported; here it reads it again."""
    if "prefect" in sys.modules:
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
