"""The controller is killed before and after everything it writes; the next one brings the environment to one end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.status import DeploymentStatus
from tests.driver.stage import Reaper, Stage, service, specification
from tests.driver.test_deploying import STRATEGIES

ENDS = (DeploymentStatus.COMPLETED, DeploymentStatus.ROLLED_BACK, DeploymentStatus.FAILED, DeploymentStatus.CANCELLED)


def graph(version: str, strategy: dict[str, Any]) -> DeploymentSpecification:
    """Two services, one needing the other."""
    api = service("api", version, deployment_strategy=strategy, scaling={"replicas": 2})
    web = service("web", version, dependencies=["api"], configuration={"files": {"a.txt": version}})
    return specification(api, web, resource_requirements=[{"name": "data", "kind": "directory"}])


class Case:
    """A kind of deployment, prepared anew for every kill."""

    def __init__(self, database_url: str, base: Path, strategy: str, kind: str) -> None:
        self.database_url, self.base, self.strategy, self.kind = database_url, base, STRATEGIES[strategy], kind

    def prepare(self) -> tuple[Stage, DeploymentSpecification]:
        """A fresh stage; for an upgrade, with the first release serving; for a failing one, with a bad release."""
        stage = Stage(self.database_url, self.base)
        with stage.engine.begin() as connection:
            connection.execute(text("truncate fairlead.environments, fairlead.projects cascade"))
        wanted = graph("2.0", self.strategy)
        if self.kind != "first":
            stage.deploy(graph("1.0", self.strategy))
        if self.kind == "failing":
            stage.supervisor.exits_on_start("web", revision=stage.revision_asked(wanted, "web"))
        return stage, wanted

    def writes(self) -> list[str]:
        """What a controller that nobody kills writes."""
        stage, wanted = self.prepare()
        reaper = Reaper()
        stage.deploy(wanted, reaper)
        stage.close()
        return reaper.writes

    def kill(self, at: int, *, after: bool) -> None:
        """Kill at one write, reconcile, and see that there is one end."""
        stage, wanted = self.prepare()
        before = {name: stage.revision(name) for name in ("api", "web")} if self.kind != "first" else {}
        stage.deploy(wanted, Reaper(kill_at=at, after=after))
        stage.reconcile()
        self.judge(stage, wanted, before)
        stage.close()

    def judge(self, stage: Stage, wanted: DeploymentSpecification, before: dict[str, set[str]]) -> None:
        """One release serves, the new or the old one, and nothing is left over."""
        record = stage.last()
        assert record.status in ENDS, record
        new = {name: {stage.revision_asked(wanted, name)} for name in ("api", "web")}
        routes = {route.service for route in stage.proxy.routes()}
        serving = {name: stage.revision(name) for name in routes}
        is_complete = record.status is DeploymentStatus.COMPLETED and ("api", "2.0") in record.services
        assert serving == (new if is_complete else before), record
        stable = {name: {release.revision} for name, release in stage.records.stables.current("production").items()}
        assert stable == serving, record
        assert not any(stage.proxy.is_held(name) for name in routes)
        assert not stage.proxy.handle().is_armed
        assert stage.records.leases.holder("production") is None
        lives = {i.id for i in stage.records.instances.of_environment("production")}
        assert set(stage.supervisor.running()) <= lives
        serving_now = {name for service in routes for name in stage.serving(service)}
        assert serving_now <= set(stage.supervisor.running())
        if not is_complete:
            assert serving_now == set(stage.supervisor.running())


@pytest.fixture
def case(database_url: str, tmp_path: Path) -> Callable[[str, str], Case]:
    """Makes a case."""
    return lambda strategy, kind: Case(database_url, tmp_path, strategy, kind)


KINDS = [(strategy, kind) for strategy in sorted(STRATEGIES) for kind in ("first", "upgrade", "failing")]


@pytest.mark.faults
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("strategy", "kind"), KINDS)
def test_killed_at_every_write_it_ends_complete_or_back(
    case: Callable[[str, str], Case], strategy: str, kind: str, after: bool
) -> None:
    every = case(strategy, kind)
    for at, name in enumerate(every.writes(), start=1):
        try:
            every.kill(at, after=after)
        except AssertionError as error:
            raise AssertionError(f"killed {'after' if after else 'before'} write {at}, {name}") from error


@pytest.mark.parametrize(("strategy", "kind"), KINDS)
def test_killed_at_some_writes_it_ends_complete_or_back(
    case: Callable[[str, str], Case], strategy: str, kind: str
) -> None:
    every = case(strategy, kind)
    names = every.writes()
    offset = KINDS.index((strategy, kind)) % 11
    for at in range(1 + offset, len(names) + 1, 11):
        every.kill(at, after=bool(at % 2))
