"""The reconciler is killed before and after everything it writes while it repairs; the next round ends as recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from deployments.domain.codec import program_from_json
from deployments.domain.ports import Endpoint, RouteDeclaration
from deployments.driver.pausing import Pauses
from deployments.driver.repairing import repair_environment
from tests.driver.stage import ENVIRONMENT, Killed, Reaper, Stage, service, specification

STRAY = Endpoint("stray", 29000, "r-stray")


@contextmanager
def drifted(database_url: str, base: Path) -> Iterator[tuple[Stage, set[str]]]:
    """Everything at once: an old file, an instance gone, a process and a route of nobody, an armed handle, a hold."""
    stage = Stage(database_url, base)
    with stage.engine.begin() as connection:
        connection.execute(text("truncate fairlead.environments, fairlead.projects cascade"))
    stage.deploy(specification(service("api", scaling={"replicas": 2})))
    old = {route.service: route.stable for route in stage.proxy.routes()}
    stage.deploy(specification(service("api", "2.0", scaling={"replicas": 2})))
    stable, fence = set(stage.serving("api")), stage.proxy.highest_fence()
    gone, stays = sorted(stable)
    stage.supervisor.lose(gone)
    program = replace(program_from_json(stage.records.instances.get(stays).program), instance="stray", port=29000)
    stage.supervisor.ensure_started(program, fence=fence)
    stage.proxy.promote(old, fence=fence)
    stage.proxy.kill()
    stage.proxy.ensure_running(fence=fence)
    stage.proxy.attach("api", STRAY, fence=fence)
    stage.proxy.set_weights("api", {"stray": 256}, fence=fence)
    stage.proxy.ensure_routes([RouteDeclaration("web", 28000, 28001)], fence=fence)
    stage.proxy.arm_handle({"api": {"stray": 256}}, timedelta(seconds=60), fence=fence)
    stage.proxy.hold("api", timedelta(seconds=60), fence=fence)
    stage.proxy.history.clear()
    try:
        yield stage, stable
    finally:
        stage.close()


def judge(stage: Stage, stable: set[str]) -> None:
    """As recorded, and never without an instance on the way."""
    assert set(stage.serving("api")) == stable
    assert "stray" not in stage.supervisor.running()
    assert stable <= set(stage.supervisor.running())
    assert [route.service for route in stage.proxy.routes()] == ["api"]
    assert {endpoint.instance for endpoint in stage.proxy.routes()[0].stable} == stable
    assert not stage.proxy.handle().is_armed
    assert not stage.proxy.is_held("api")
    assert all(any(weights.values()) for _, weights in stage.proxy.history)
    assert len(stage.supervisor.starts) == len(set(stage.supervisor.starts)) + 1, "one was started again, once"
    assert repair_environment(stage.world(), ENVIRONMENT, pauses=Pauses()) == []


def repair(stage: Stage, reaper: Reaper) -> None:
    """One round, cut short where the reaper says."""
    with suppress(Killed):
        repair_environment(stage.world(reaper), ENVIRONMENT, pauses=Pauses())
    stage.expire_leases()


def kill(database_url: str, base: Path, at: int, name: str, *, after: bool) -> None:
    """Kill at one write, let the next round come, and see that there is one end."""
    with drifted(database_url, base) as (stage, stable):
        repair(stage, Reaper(kill_at=at, after=after))
        repair(stage, Reaper())
        try:
            judge(stage, stable)
        except AssertionError as error:
            raise AssertionError(f"killed {'after' if after else 'before'} write {at}, {name}") from error


@pytest.fixture
def writes(database_url: str, tmp_path: Path) -> list[str]:
    """What a reconciler that nobody kills writes."""
    with drifted(database_url, tmp_path) as (stage, stable):
        reaper = Reaper()
        repair(stage, reaper)
        judge(stage, stable)
    assert len(reaper.writes) >= 10, reaper.writes
    return reaper.writes


@pytest.mark.faults
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_every_write_of_a_repair_the_next_round_ends_as_recorded(
    database_url: str, tmp_path: Path, writes: list[str], after: bool
) -> None:
    for at, name in enumerate(writes, start=1):
        kill(database_url, tmp_path, at, name, after=after)


def test_killed_at_some_writes_of_a_repair_the_next_round_ends_as_recorded(
    database_url: str, tmp_path: Path, writes: list[str]
) -> None:
    for at in range(1, len(writes) + 1, 3):
        kill(database_url, tmp_path, at, writes[at - 1], after=bool(at % 2))
