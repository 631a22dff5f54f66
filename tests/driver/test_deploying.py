"""Deployments through the driver: what is asked comes about, completely or not at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deployments.domain.entities import InstanceLife
from deployments.domain.ports import ProbeOutcome, ProbeRequest
from deployments.domain.status import DeploymentStatus, Reason
from deployments.driver.reconciling import resume_rollback
from tests.driver.stage import Stage, service, specification
from tests.fakes.prober import BAD, GOOD, UNMEASURED

STRATEGIES: dict[str, dict[str, Any]] = {
    "blue_green": {"kind": "blue_green"},
    "rolling": {"kind": "rolling", "batch": 1},
    "recreate": {"kind": "recreate", "hold": "30s"},
}


@pytest.fixture(params=sorted(STRATEGIES))
def strategy(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each strategy in turn."""
    return STRATEGIES[request.param]


def two_replicas(version: str, strategy: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return service("api", version, deployment_strategy=strategy, scaling={"replicas": 2}, **fields)


def test_a_first_deployment_serves_every_replica(stage: Stage, strategy: dict[str, Any]) -> None:
    done = stage.deploy(specification(two_replicas("1.0", strategy)))

    assert done is not None
    assert done.status is DeploymentStatus.COMPLETED
    assert len(stage.serving("api")) == 2
    assert len(stage.supervisor.running()) == 2


def test_an_upgrade_moves_all_traffic_to_the_new_release(stage: Stage, strategy: dict[str, Any]) -> None:
    stage.deploy(specification(two_replicas("1.0", strategy)))
    before = stage.serving("api")

    done = stage.deploy(specification(two_replicas("2.0", strategy)))

    assert done is not None
    assert done.status is DeploymentStatus.COMPLETED
    assert len(stage.serving("api")) == 2
    assert not set(before) & set(stage.serving("api"))
    assert stage.records.stables.current("production")["api"].version == "2.0"
    assert not stage.proxy.handle().is_armed


def test_the_same_specification_again_changes_nothing(stage: Stage) -> None:
    stage.deploy(specification())
    before = stage.serving("api")

    done = stage.deploy(specification())

    assert done is not None
    assert (done.status, done.reason, done.steps_total) == (DeploymentStatus.COMPLETED, Reason.NOTHING_TO_DO, 0)
    assert stage.serving("api") == before


def test_a_release_that_ends_at_its_start_leaves_the_old_one_serving(stage: Stage, strategy: dict[str, Any]) -> None:
    stage.deploy(specification(two_replicas("1.0", strategy)))
    before = stage.serving("api")
    bad = specification(two_replicas("2.0", strategy))
    stage.supervisor.exits_on_start("api", revision=stage.revision_asked(bad, "api"))

    done = stage.deploy(bad)

    assert done is not None
    assert (done.status, done.reason) == (DeploymentStatus.ROLLED_BACK, Reason.NEVER_HEALTHY)
    assert stage.serving("api").keys() == before.keys()
    assert stage.supervisor.running() == sorted(before)
    assert not stage.proxy.is_held("api")


def test_a_release_that_never_becomes_healthy_is_given_up_at_its_deadline(stage: Stage) -> None:
    timing = {"healthy_deadline": "50ms", "progress_deadline": "10s"}
    stage.deploy(specification(service("api", "1.0")))
    before = stage.serving("api")
    bad = specification(service("api", "2.0", timing=timing))
    stage.prober.sicken(("api", stage.revision_asked(bad, "api")))

    done = stage.deploy(bad)

    assert done is not None
    assert (done.status, done.reason) == (DeploymentStatus.ROLLED_BACK, Reason.NEVER_HEALTHY)
    assert "503 instead of 200" in done.message
    assert stage.serving("api") == before


def test_a_failed_check_before_traffic_moves_no_traffic(stage: Stage) -> None:
    check = {"name": "front-page", "when": "before_traffic", "probe": {"kind": "command", "command": ["look"]}}
    stage.deploy(specification(service("api", "1.0")))
    before = stage.serving("api")
    stage.prober.sicken(("look",))

    done = stage.deploy(specification(service("api", "2.0", checks=[check])))

    assert done is not None
    assert (done.status, done.reason) == (DeploymentStatus.ROLLED_BACK, Reason.CHECK_FAILED)
    assert stage.serving("api") == before
    assert all(not weights.get(name) for _, weights in stage.proxy.history for name in weights if name not in before)
    assert stage.supervisor.running() == sorted(before)


def test_a_check_that_cannot_be_asked_is_asked_again(stage: Stage) -> None:
    check = {"name": "front-page", "when": "before_traffic", "probe": {"kind": "command", "command": ["look"]}}
    stage.prober.script(("look",), UNMEASURED, UNMEASURED, GOOD)

    done = stage.deploy(specification(service("api", "1.0", checks=[check])))

    assert done is not None
    assert done.status is DeploymentStatus.COMPLETED
    assert sum(request.command == ("look",) for request in stage.prober.asked) == 3


def test_errors_during_the_bake_bring_the_old_release_back_and_quarantine_the_new(stage: Stage) -> None:
    stage.deploy(specification(service("api", "1.0")))
    before = stage.serving("api")
    bad = specification(service("api", "2.0"), success_criteria={"bake": "10s", "minimum_requests": 5})
    soon = datetime.now(UTC) + timedelta(minutes=1)
    stage.meter.record("api", stage.revision_asked(bad, "api"), requests=50, errors=40, at=soon)

    done = stage.deploy(bad)

    assert done is not None
    assert (done.status, done.reason) == (DeploymentStatus.ROLLED_BACK, Reason.CRITERIA_BREACHED)
    assert "error rate 80.0% (40 of 50)" in done.message
    assert stage.serving("api") == before
    again = stage.deploy(bad)
    assert again is not None
    assert again.status is DeploymentStatus.FAILED
    assert "was rolled back here" in again.message


def test_services_start_after_those_they_need(stage: Stage) -> None:
    graph = [service("db"), service("api", dependencies=["db"]), service("web", dependencies=["api", "db"])]

    stage.deploy(specification(*graph))

    started = [e.key for e in stage.records.journal.entries(stage.last().id) if e.key.startswith("start:")]
    assert [key.split(":")[1].split("-")[0] for key in started] == ["db", "api", "web"]


def test_the_previous_release_stays_warm_and_serves_again_on_rollback(stage: Stage) -> None:
    stage.deploy(specification(service("api", "1.0")))
    first = stage.serving("api")
    stage.deploy(specification(service("api", "2.0")))
    warm = [i for i in stage.records.instances.of_environment("production") if i.state is InstanceLife.WARM]
    assert {i.id for i in warm} == set(first)

    done = stage.deploy(specification(service("api", "1.0")), is_rollback=True)

    assert done is not None
    assert done.status is DeploymentStatus.COMPLETED
    assert stage.serving("api") == first


def test_a_deployment_without_services_to_run_only_builds(stage: Stage) -> None:
    done = stage.deploy(specification(skip_deploy=True))

    assert done is not None
    assert done.status is DeploymentStatus.COMPLETED
    assert len(stage.builder.builds) == 1
    assert not stage.supervisor.running()


def test_a_rollback_returns_to_what_was_locked_then_whatever_the_source_holds_now(stage: Stage) -> None:
    first = stage.deploy(specification(service("api", "1.0")))
    assert first is not None
    locked = stage.revision("api")
    stage.deploy(specification(service("api", "2.0")))
    stage.builder.missing.add(".")

    done = stage.deploy(specification(service("api", "1.0")), is_rollback=True, parent=first.id)

    assert done is not None
    assert done.status is DeploymentStatus.COMPLETED
    assert stage.revision("api") == locked


def test_a_bad_release_answers_what_it_has_begun_before_it_is_stopped(stage: Stage) -> None:
    check = {"name": "front-page", "when": "at_step", "probe": {"kind": "command", "command": ["look"]}}
    stage.deploy(specification(service("api", "1.0")))
    stage.prober.sicken(("look",))
    seen: list[int] = []
    ensure_stopped = stage.supervisor.ensure_stopped

    def stopped(instance: str, *, grace: timedelta, fence: int) -> None:
        seen.append(stage.proxy.sessions.get(instance, 0))
        ensure_stopped(instance, grace=grace, fence=fence)

    stage.supervisor.ensure_stopped = stopped  # type: ignore[method-assign]
    stage.proxy.sessions = Finishing({})

    done = stage.deploy(specification(service("api", "2.0", checks=[check])))

    assert done is not None
    assert done.status is DeploymentStatus.ROLLED_BACK
    assert seen == [0]


class Finishing(dict[str, int]):
    """Many requests in flight, one of which ends at each look."""

    def __init__(self, found: dict[str, int]) -> None:
        super().__init__(found)
        self.left = 50

    def get(self, key: str, default: int = 0) -> int:  # type: ignore[override]
        self.left = max(0, self.left - 1)
        return self.left


AT_STEP = {"name": "front-page", "when": "at_step", "probe": {"kind": "command", "command": ["look"]}}


def test_a_worker_that_ends_while_it_is_watched_is_taken_back(stage: Stage) -> None:
    stage.prober.script(("look",), GOOD)
    worker = service("jobs", "1.0", type="worker", health_checks=[])
    stage.supervisor.exits_on_start("jobs")

    done = stage.deploy(specification(service("api"), worker))

    assert done is not None
    assert (done.status, done.reason) == (DeploymentStatus.ROLLED_BACK, Reason.NEVER_HEALTHY)
    assert stage.supervisor.running() == []


def test_a_release_goes_out_with_all_of_its_instances(stage: Stage) -> None:
    probe = stage.prober.probe

    def kills_one(request: ProbeRequest) -> ProbeOutcome:
        if request.command == ("look",):
            stage.supervisor.crash(stage.supervisor.running()[-1])
        return probe(request)

    stage.prober.probe = kills_one  # type: ignore[method-assign]

    done = stage.deploy(specification(service("api", "1.0", scaling={"replicas": 3}, checks=[AT_STEP])))

    assert done is not None
    assert done.status is DeploymentStatus.ROLLED_BACK
    assert "ended by itself" in done.message


def test_without_automatic_rollback_traffic_returns_and_the_rest_waits_for_a_person(
    stage: Stage, strategy: dict[str, Any]
) -> None:
    stage.deploy(specification(two_replicas("1.0", strategy)))
    before = stage.serving("api")
    stage.prober.sicken(("look",))
    bad = specification(two_replicas("2.0", strategy, checks=[AT_STEP]), rollback_procedures={"automatic": False})

    done = stage.deploy(bad)

    assert done is not None
    assert done.status is DeploymentStatus.ROLLBACK_FAILED
    assert f"fairlead rollback --resume {done.id}" in done.message
    assert stage.serving("api").keys() == before.keys()
    assert not stage.proxy.is_held("api")
    assert resume_rollback(stage.world(), done.id) is DeploymentStatus.ROLLED_BACK
    assert stage.supervisor.running() == sorted(before)


def test_a_way_back_that_a_later_release_overtook_takes_no_traffic_from_it(stage: Stage) -> None:
    stage.deploy(specification(service("api", "1.0")))
    stage.prober.sicken(("look",))
    bad = specification(service("api", "2.0", checks=[AT_STEP]), rollback_procedures={"automatic": False})
    failed = stage.deploy(bad)
    stage.deploy(specification(service("api", "3.0")))
    serving = stage.serving("api")
    assert failed is not None

    status = resume_rollback(stage.world(), failed.id)

    assert status is DeploymentStatus.ROLLED_BACK
    assert stage.serving("api") == serving
    assert set(serving) <= set(stage.supervisor.running())


def test_instances_that_a_failed_deployment_left_go_with_the_next_release(stage: Stage) -> None:
    stage.prober.sicken(("look",))
    first = specification(service("api", "1.0"))
    stage.deploy(first)
    bad = specification(service("api", "2.0", checks=[AT_STEP]), rollback_procedures={"automatic": False})
    stage.deploy(bad)
    left = set(stage.supervisor.running()) - set(stage.serving("api"))

    stage.deploy(specification(service("api", "3.0")))

    assert left
    assert not left & set(stage.supervisor.running())


def test_a_proxy_that_died_and_came_back_is_armed_for_the_way_back(stage: Stage) -> None:
    stage.deploy(specification(service("api", "1.0")))
    before = stage.serving("api")
    probe = stage.prober.probe

    def kills_proxy(request: ProbeRequest) -> ProbeOutcome:
        if request.command == ("look",):
            stage.proxy.kill()
            stage.proxy.restart()
            return BAD
        return probe(request)

    stage.prober.probe = kills_proxy  # type: ignore[method-assign]

    done = stage.deploy(specification(service("api", "2.0", checks=[AT_STEP])))

    assert done is not None
    assert done.status is DeploymentStatus.ROLLED_BACK
    assert stage.serving("api") == before
