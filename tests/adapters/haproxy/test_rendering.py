"""The text that HAProxy reads."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from deployments.adapters.haproxy.binary import find_haproxy
from deployments.adapters.haproxy.control import Handle, Status
from deployments.adapters.haproxy.files import ProxyFiles, render_handover
from deployments.adapters.haproxy.rendering import (
    LiveServer,
    LiveService,
    Paths,
    is_for_reload,
    read_routes,
    render,
    routes_digest,
)
from deployments.domain.errors import Conflict
from deployments.domain.ports import Endpoint, RouteDeclaration

LUA = Path(__file__).parents[3] / "deployments/adapters/haproxy/lua/fairlead.lua"
STABLE = RouteDeclaration("web", 8000, 8001, (Endpoint("web-1", 9001, "r1"), Endpoint("web-2", 9002, "r1")))
SPLIT = {"web": LiveService((LiveServer("web-1", 9001, 200), LiveServer("web-9", 9009, 56)), is_held=True)}


def paths(directory: Path) -> Paths:
    configuration, handover = directory / "haproxy.cfg", directory / "handover.lua"
    return Paths(lua=LUA, fence=directory / "fence", configuration=configuration, handover=handover)


def fresh_start_of(text: str) -> str:
    """The text as HAProxy reads it when it starts afresh."""
    lines, branches = [], [True]
    for line in text.splitlines():
        word = line.strip().split(" ")[0]
        if word == ".if":
            branches.append(False)
        elif word == ".else":
            branches[-1] = not branches[-1]
        elif word == ".endif":
            branches.pop()
        elif all(branches):
            lines.append(line)
    return "\n".join(lines)


def test_routes_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    routes = (RouteDeclaration("api", 7000, 7001), STABLE)
    assert read_routes(render(routes, paths(tmp_path))) == routes


def test_stable_instances_have_full_weight(tmp_path: Path) -> None:
    text = render([STABLE], paths(tmp_path))
    servers = [line.split() for line in text.splitlines() if line.strip().startswith("server web-")]
    assert [(words[1], words[2], words[-1]) for words in servers] == [
        ("web-1", "127.0.0.1:9001", "256"),
        ("web-2", "127.0.0.1:9002", "256"),
    ]


def test_a_split_is_for_a_reload_only(tmp_path: Path) -> None:
    lasting, for_reload = render([STABLE], paths(tmp_path)), render([STABLE], paths(tmp_path), live=SPLIT)
    assert not is_for_reload(lasting)
    assert is_for_reload(for_reload)
    assert "web-9" in for_reload
    assert fresh_start_of(for_reload).split() == fresh_start_of(lasting).split()


def test_a_lasting_file_is_refused_by_a_reload_and_by_nothing_else(tmp_path: Path) -> None:
    configuration = tmp_path / "haproxy.cfg"
    configuration.write_text(render([STABLE], paths(tmp_path)))
    command = [find_haproxy(), "-c", "-f", configuration]
    started = subprocess.run(command, capture_output=True, text=True, check=False)
    reloaded = subprocess.run(command, env={"HAPROXY_MWORKER_REEXEC": "1"}, capture_output=True, text=True, check=False)
    assert (started.returncode, reloaded.returncode) == (0, 1)
    assert "not for a reload" in reloaded.stderr


def test_haproxy_finds_both_valid(tmp_path: Path) -> None:
    for live in (None, SPLIT):
        configuration = tmp_path / "haproxy.cfg"
        configuration.write_text(render([STABLE], paths(tmp_path), live=live))
        checked = subprocess.run(
            [find_haproxy(), "-c", "-f", configuration], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stderr
        assert "WARNING" not in checked.stderr


def test_the_digest_names_addresses_and_not_releases() -> None:
    promoted = RouteDeclaration("web", 8000, 8001)
    moved = RouteDeclaration("web", 8000, 8002)
    assert routes_digest([STABLE]) == routes_digest([promoted])
    assert routes_digest([STABLE]) != routes_digest([moved])


@pytest.mark.parametrize("handle", [None, Handle(3, timedelta(seconds=2), has_fired=True, weights={"web": {"a": 1}})])
def test_a_handover_keeps_only_services_that_stay(handle: Handle | None) -> None:
    status = Status(fence=4, is_armed=True, handle=handle)
    assert '"web"' not in render_handover(status, kept={"api"})


def test_a_first_start_makes_a_configuration_and_replaces_none(tmp_path: Path) -> None:
    files = ProxyFiles("production", tmp_path, tmp_path)
    files.prepare(is_running=False)
    files.draft([STABLE], fence=1)
    files.configuration.with_name("haproxy.cfg.1").replace(files.configuration)
    files.prepare(is_running=False)
    assert files.routes() == (STABLE,)
    assert [path.name for path in files.directory.iterdir()] == ["haproxy.cfg"]


def test_a_configuration_that_names_other_places_is_written_anew_before_a_start(tmp_path: Path) -> None:
    """A backup was restored into another directory, or the software was installed elsewhere."""
    files = ProxyFiles("production", tmp_path, tmp_path)
    files.directory.mkdir(parents=True)
    files.configuration.write_text(render([STABLE], paths(tmp_path / "elsewhere")))
    files.prepare(is_running=True)
    assert not files.is_as_rendered()
    files.prepare(is_running=False)
    assert files.is_as_rendered()
    assert files.routes() == (STABLE,)
    assert [path.name for path in files.directory.iterdir()] == ["haproxy.cfg"]


def test_drafts_and_locks_of_older_writers_are_removed(tmp_path: Path) -> None:
    files = ProxyFiles("production", tmp_path, tmp_path)
    files.prepare(is_running=False)
    for fence in (3, 12, 20):
        with files.changing(fence):
            files.draft_for_reload([STABLE], SPLIT, Status(), fence=fence)
    left = sorted(path.name for path in files.directory.iterdir())
    assert left == ["changing-20.lock", "handover.lua.20", "haproxy.cfg", "haproxy.cfg.20"]


def test_a_lock_is_waited_for_by_writers_of_its_fence_alone(tmp_path: Path) -> None:
    files = ProxyFiles("production", tmp_path, tmp_path)
    files.prepare(is_running=False)
    with files.changing(3):
        with files.changing(4):
            pass
        with pytest.raises(Conflict), files.changing(3, timedelta(0)):
            pass


@pytest.mark.parametrize("content", ["", "\0\0\0", "5five", "\u00e9"])
def test_a_fence_file_that_cannot_be_read_counts_as_none(tmp_path: Path, content: str) -> None:
    files = ProxyFiles("production", tmp_path, tmp_path)
    files.prepare(is_running=False)
    files.fence.write_text(content)
    assert files.highest_fence() == 0
