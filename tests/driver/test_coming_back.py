"""The way back gives everything back as it was: addresses, files, workers, and nobody where nobody served."""

from __future__ import annotations

from typing import Any

import pytest

from deployments.domain.status import DeploymentStatus
from deployments.domain.undo import RemoveConfiguration
from deployments.driver.effects.undo import UNDO_EFFECTS
from tests.driver.stage import Reaper, Stage, service, specification
from tests.fakes.prober import GOOD, REFUSED


def ports(stage: Stage) -> dict[str, int]:
    """Public ports as the proxy has them; the record says the same."""
    found = {route.service: route.port for route in stage.proxy.routes()}
    assert {r.service: r.port for r in stage.records.routes.of_environment("production")} == found
    return found


@pytest.fixture(autouse=True)
def _nobody_listens_there_before(stage: Stage) -> None:
    for port in (8100, 8200):
        stage.prober.script(port, REFUSED, GOOD)


class Deadly(Reaper):
    """Kills around the first write of one name."""

    def __init__(self, write: str, *, after: bool) -> None:
        super().__init__(after=after)
        self.write = write

    def around(self, name: str, write: Any) -> Any:
        inner = super().around(name, write)

        def watched(*arguments: Any, **named: Any) -> Any:
            if name == self.write:
                self.kill_at = self.kill_at or self.count + 1
            return inner(*arguments, **named)

        return watched


def test_a_moved_route_is_back_on_its_port_when_the_new_release_fails(stage: Stage) -> None:
    stage.deploy(specification(service("api", port=8100)))
    serving = stage.serving("api")
    wanted = specification(service("api", "2.0", port=8200), service("web", dependencies=["api"]))
    stage.supervisor.exits_on_start("web")
    done = stage.deploy(wanted)
    assert done is not None
    assert done.status is DeploymentStatus.ROLLED_BACK
    assert ports(stage) == {"api": 8100}
    assert stage.serving("api") == serving


@pytest.mark.parametrize("write", ["proxy.ensure_routes", "routes.record"])
def test_a_new_or_moved_route_goes_although_its_receipt_was_lost_and_the_step_performed_again(
    stage: Stage, write: str
) -> None:
    stage.deploy(specification(service("api", port=8100)))
    resumed = {"emergency_procedures": {"on_controller_lost": "resume"}}
    wanted = specification(service("api", "2.0", port=8200), service("web", dependencies=["api"]), **resumed)
    stage.supervisor.exits_on_start("web")
    assert stage.deploy(wanted, Deadly(write, after=True)) is None
    assert "web" in {route.service for route in stage.proxy.routes()}
    stage.reconcile()
    assert stage.last().status is DeploymentStatus.ROLLED_BACK
    assert ports(stage) == {"api": 8100}


def test_files_of_a_revision_that_serves_stay_when_more_of_it_fail(stage: Stage) -> None:
    files: dict[str, Any] = {"configuration": {"files": {"a.ini": "{route.api}"}}}
    stage.deploy(specification(service("api", **files)))
    before = {key: dict(found) for key, found in stage.provisioner.configurations.items()}
    assert len(before) == 1
    stage.supervisor.exits_on_start("api")
    done = stage.deploy(specification(service("api", scaling={"replicas": 2}, port=8100, **files)))
    assert done is not None
    assert done.status is DeploymentStatus.ROLLED_BACK
    assert stage.provisioner.configurations == before


def test_files_that_an_earlier_plan_named_by_the_revision_alone_stay_while_another_deployment_lives_of_them(
    stage: Stage,
) -> None:
    files: dict[str, Any] = {"configuration": {"files": {"a.ini": "1"}}}
    asked = specification(service("api", **files))
    stage.deploy(asked)
    shared, own = (f"production.api.{name}" for name in (stage.revision_asked(asked, "api"), "0123456789ab"))
    stage.provisioner.write_configuration(shared, {"a.ini": "1"})
    stage.provisioner.write_configuration(own, {"a.ini": "2"})
    with stage.held(specification(service("api", "2.0", **files))) as (_, run):
        for key in (shared, own):
            UNDO_EFFECTS[RemoveConfiguration](RemoveConfiguration("api", key), run)
    assert shared in stage.provisioner.configurations
    assert own not in stage.provisioner.configurations


def test_a_recreated_worker_runs_again_when_its_new_release_fails(stage: Stage) -> None:
    recreated: dict[str, Any] = {"type": "worker", "deployment_strategy": {"kind": "recreate"}}
    stage.deploy(specification(service("jobs", "1.0", **recreated)))
    running = stage.supervisor.running()
    wanted = specification(service("jobs", "2.0", **recreated))
    stage.supervisor.exits_on_start("jobs", revision=stage.revision_asked(wanted, "jobs"))
    done = stage.deploy(wanted)
    assert done is not None
    assert done.status is DeploymentStatus.ROLLED_BACK, done.message
    assert stage.supervisor.running() == running


@pytest.mark.parametrize("kind", ["blue_green", "recreate"])
def test_a_worker_becomes_a_web_service_and_a_worker_again_when_that_fails(stage: Stage, kind: str) -> None:
    stage.deploy(specification(service("jobs", type="worker")))
    running = stage.supervisor.running()
    strategy: dict[str, Any] = {"deployment_strategy": {"kind": kind}}
    wanted = specification(service("jobs", **strategy), service("web", dependencies=["jobs"]))
    stage.supervisor.exits_on_start("web")
    done = stage.deploy(wanted)
    assert done is not None
    assert done.status is DeploymentStatus.ROLLED_BACK, done.message
    assert stage.supervisor.running() == running
    assert ports(stage) == {}
    done = stage.deploy(specification(service("jobs", "2.0", **strategy)))
    assert done is not None
    assert done.status is DeploymentStatus.COMPLETED, done.message
    assert list(stage.serving("jobs")) == stage.supervisor.running()


def test_a_service_whose_instances_had_all_died_gets_nobody_back_and_the_deployment_is_over(stage: Stage) -> None:
    stage.deploy(specification(service("api")))
    before = ports(stage)
    (dead,) = stage.serving("api")
    stage.supervisor.crash(dead)
    stage.proxy.down.add(dead)
    stage.supervisor.exits_on_start("web")
    done = stage.deploy(specification(service("api", "2.0"), service("web", dependencies=["api"])))
    assert done is not None
    assert done.status is DeploymentStatus.ROLLED_BACK, done.message
    assert stage.serving("api") == {dead: 256}, "should it come up again, it serves"
    assert not stage.proxy.is_held("api")
    assert stage.supervisor.running() == []
    assert ports(stage) == before


ENDS = (DeploymentStatus.COMPLETED, DeploymentStatus.ROLLED_BACK, DeploymentStatus.FAILED)
MOMENTS = ["proxy.ensure_routes", "proxy.attach", "proxy.set_weights", "stables.mark"]


@pytest.mark.parametrize("kind", ["blue_green", "rolling", "recreate"])
@pytest.mark.parametrize(("moment", "lost"), [*((m, "undo") for m in MOMENTS), ("proxy.set_weights", "resume")])
def test_a_proxy_that_dies_with_the_controller_serves_one_release_in_the_end(
    stage: Stage, moment: str, kind: str, lost: str
) -> None:
    """What the proxy knew only in memory is gone: splits, holds, the handle, and every new instance."""
    api: dict[str, Any] = {"deployment_strategy": {"kind": kind}, "scaling": {"replicas": 2}}
    stage.deploy(specification(service("api", "1.0", **api)))
    fields = {"emergency_procedures": {"on_controller_lost": lost}}
    wanted = specification(service("api", "2.0", **api), rollback_procedures={"keep_previous_warm": "0s"}, **fields)
    assert stage.deploy(wanted, Deadly(moment, after=True)) is None
    stage.proxy.kill()
    stage.reconcile()
    assert stage.last().status in ENDS, stage.last()
    assert sorted(stage.serving("api")) == stage.supervisor.running()
    assert len(stage.serving("api")) == 2
    assert len(stage.revision("api")) == 1
    assert not stage.proxy.is_held("api")
    assert not stage.proxy.handle().is_armed


def test_a_handle_that_fires_after_the_promotion_leaves_the_new_release_serving(stage: Stage) -> None:
    stage.deploy(specification(service("api")))
    wanted = specification(service("api", "2.0"), rollback_procedures={"keep_previous_warm": "0s"})
    assert stage.deploy(wanted, Deadly("proxy.disarm_handle", after=False)) is None
    assert stage.proxy.handle().is_armed
    stage.proxy._clock = lambda: 1e12
    assert stage.proxy.handle().has_fired
    stage.reconcile()
    assert stage.last().status is DeploymentStatus.COMPLETED
    assert stage.revision("api") == {stage.revision_asked(wanted, "api")}
    assert list(stage.serving("api")) == stage.supervisor.running()
