"""The way back to old instances of which some have died while the new release had the traffic."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from deployments.domain.errors import CheckFailed
from deployments.domain.ports import InstanceReport, Program
from deployments.domain.status import DeploymentStatus
from deployments.domain.steps import Phase
from deployments.driver.forward import drive_phase, enter
from deployments.driver.planning import make_plan
from tests.driver.stage import Stage, service, specification


def fail_after(stage: Stage, happens: Callable[[], None]) -> DeploymentStatus:
    """An upgrade whose check fails once it has the traffic; before that, something happens."""
    wanted = specification(service("api", "2.0", scaling={"replicas": 2}))
    with stage.held(wanted) as (conductor, run):
        enter(run, DeploymentStatus.VALIDATING)
        make_plan(run)
        for status in (DeploymentStatus.PREPARING, DeploymentStatus.PROVISIONING):
            enter(run, status)
        drive_phase(run, run.plan, Phase.PREPARATION)
        enter(run, DeploymentStatus.DEPLOYING)
        drive_phase(run, run.plan, Phase.DEPLOYMENT)
        happens()
        return conductor.fail(run, CheckFailed("api: bad."))


def test_traffic_returns_to_the_old_instance_that_lives_and_the_other_is_started_again(stage: Stage) -> None:
    stage.deploy(specification(service("api", "1.0", scaling={"replicas": 2})))
    dead, living = sorted(stage.serving("api"))

    status = fail_after(stage, lambda: stage.supervisor.crash(dead))

    assert status is DeploymentStatus.ROLLED_BACK
    assert stage.serving("api") == {living: 256}
    assert stage.supervisor.running() == [dead, living]


@pytest.mark.parametrize("is_noticed", [False, True], ids=["the proxy has not noticed", "the proxy has noticed"])
def test_old_instances_that_all_died_are_started_again_before_they_get_the_traffic(
    stage: Stage, is_noticed: bool
) -> None:
    stage.deploy(specification(service("api", "1.0", scaling={"replicas": 2})))
    old = set(stage.serving("api"))

    def die() -> None:
        for instance in old:
            stage.supervisor.crash(instance)
        stage.proxy.down |= old if is_noticed else set()

    comes_up_when_started(stage)
    status = fail_after(stage, die)

    assert status is DeploymentStatus.ROLLED_BACK
    assert set(stage.serving("api")) == old == set(stage.supervisor.running())


def comes_up_when_started(stage: Stage) -> None:
    """The proxy sees up what the supervisor starts."""
    start = stage.supervisor.ensure_started

    def start_and_show(program: Program, *, fence: int) -> InstanceReport:
        report = start(program, fence=fence)
        stage.proxy.down.discard(program.instance)
        return report

    stage.supervisor.ensure_started = start_and_show  # type: ignore[method-assign]
