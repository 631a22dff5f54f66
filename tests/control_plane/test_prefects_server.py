"""Prefect's server as the control plane starts, finds and stops it."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
import pytest

from deployments.adapters.control_plane.environment import asynchronous
from deployments.domain.errors import Refused
from tests.control_plane.conftest import control_plane_at
from tests.fakes.runner_process import wait_until


@pytest.fixture(scope="module")
def home(new_home: Callable[[], Path]) -> Path:
    """A home whose Prefect server runs."""
    home = new_home()
    control_plane_at(home).ensure_prefect()
    return home


def test_the_server_is_healthy_and_reachable_from_this_machine_only(home: Path) -> None:
    url = control_plane_at(home).ensure_prefect()
    assert url.startswith("http://127.0.0.1:")
    assert httpx.get(f"{url}/health").json() is True


def test_another_command_finds_the_same_server(home: Path) -> None:
    before = process_of(home)
    assert control_plane_at(home).ensure_prefect() == control_plane_at(home).ensure_prefect()
    assert process_of(home) == before


def process_of(home: Path) -> int:
    plane = control_plane_at(home)
    identity = plane._host.service_identity("prefect")
    assert identity is not None
    return identity.pid


def test_the_status_names_what_runs_and_starts_nothing(home: Path, run_directory: Path) -> None:
    status = control_plane_at(home).status()
    assert status.services == {"postgres": True, "prefect": True, "runner": False, "reconciler": False}
    assert status.prefect_url is not None
    untouched = control_plane_at(run_directory / "nowhere")
    assert not untouched.status().is_up
    assert not (run_directory / "nowhere").exists()


def test_it_keeps_its_files_in_the_home(home: Path) -> None:
    settings = httpx.get(f"{control_plane_at(home).ensure_prefect()}/admin/settings").json()
    assert settings["home"].startswith(str(home))
    assert settings["server"]["analytics_enabled"] is False
    assert settings["server"]["ui"]["enabled"] is True


def test_a_killed_server_comes_back_at_the_same_address(home: Path) -> None:
    plane = control_plane_at(home)
    url, before = plane.ensure_prefect(), process_of(home)
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: plane.status().prefect_url is None or process_of(home) != before, "the server is gone")
    assert control_plane_at(home).ensure_prefect() == url
    assert process_of(home) != before


def test_two_homes_have_two_servers(home: Path, new_home: Callable[[], Path]) -> None:
    other = new_home()
    assert control_plane_at(home).ensure_prefect() != control_plane_at(other).ensure_prefect()


def test_two_commands_at_once_start_one_server_on_another_port_when_the_last_is_taken(
    new_home: Callable[[], Path],
) -> None:
    home = new_home()
    urls: list[str] = []
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        taken = squatter.getsockname()[1]
        (home / "control").mkdir()
        (home / "control" / "prefect.port").write_text(str(taken))
        commands = [
            threading.Thread(target=lambda: urls.append(control_plane_at(home).ensure_prefect())) for _ in range(2)
        ]
        for command in commands:
            command.start()
        for command in commands:
            command.join(180)
    assert len(urls) == 2
    assert urls[0] == urls[1]
    assert str(taken) not in urls[0]


def test_down_stops_everything_and_says_what(new_home: Callable[[], Path]) -> None:
    home = new_home()
    control_plane_at(home).ensure_database()
    assert control_plane_at(home).down() == ["service postgres"]
    assert not control_plane_at(home).status().is_up
    assert control_plane_at(home).down() == []


def test_the_database_alone_does_not_start_prefect(new_home: Callable[[], Path]) -> None:
    home = new_home()
    plane = control_plane_at(home)
    with psycopg.connect(plane.ensure_database().replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert plane.status().services["prefect"] is False


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("postgresql://u:p@host:5433/db", "postgresql+asyncpg://u:p@host:5433/db"),
        ("postgresql+psycopg://postgres@/db?host=/run/pg", "postgresql+asyncpg://postgres@/db?host=/run/pg"),
        ("postgres:///db?host=/run/pg", "postgresql+asyncpg://postgres@/db?host=/run/pg"),
        (
            "postgresql://u@h/db?sslmode=require&application_name=x",
            "postgresql+asyncpg://u@h/db?ssl=require",
        ),
    ],
)
def test_prefect_gets_the_same_address_in_its_own_words(given: str, expected: str) -> None:
    assert asynchronous(given) == expected


def test_a_database_that_is_not_postgresql_is_refused() -> None:
    with pytest.raises(Refused, match="sqlite is not PostgreSQL"):
        asynchronous("sqlite:///x.db")
