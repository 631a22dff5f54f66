"""What runs and what is recorded have parted while nobody deployed: the reconciler brings them together."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from deployments.domain.codec import program_from_json
from deployments.domain.drift import Repair
from deployments.domain.entities import InstanceLife, Route
from deployments.domain.errors import ProxyUnavailable, SupervisorUnavailable
from deployments.domain.events import ResourceEvent, ResourceEventKind
from deployments.domain.ports import Endpoint, RouteDeclaration
from deployments.domain.status import DeploymentStatus
from deployments.driver.pausing import Pauses
from deployments.driver.repairing import repair_environment
from tests.driver.stage import ENVIRONMENT, Stage, service, specification

TWO = {"replicas": 2}


@pytest.fixture
def pauses() -> Pauses[Repair]:
    """Nothing failed yet."""
    return Pauses()


def deployed(stage: Stage, version: str = "1.0", **fields: object) -> dict[str, int]:
    """Two replicas of api that serve; their weights."""
    done = stage.deploy(specification(service("api", version, scaling=TWO, **fields)))
    assert done is not None
    assert done.status is DeploymentStatus.COMPLETED, done.message
    return stage.serving("api")


def repaired(stage: Stage, pauses: Pauses[Repair]) -> list[str]:
    """A round, after which a second one finds nothing and nobody holds the environment."""
    done = repair_environment(stage.world(), ENVIRONMENT, pauses=pauses)
    assert repair_environment(stage.world(), ENVIRONMENT, pauses=Pauses()) == []
    assert stage.records.leases.holder(ENVIRONMENT) is None
    return done


def fence_of(stage: Stage) -> int:
    return stage.proxy.highest_fence()


def stray(stage: Stage, name: str = "stray") -> Endpoint:
    """A process of the environment that no record knows."""
    known = next(iter(stage.serving("api")))
    program = replace(program_from_json(stage.records.instances.get(known).program), instance=name, port=29000)
    stage.supervisor.ensure_started(program, fence=fence_of(stage))
    return Endpoint(name, 29000, "r-stray")


def told(stage: Stage) -> list[ResourceEvent]:
    """What was told of repairs."""
    events = stage.records.events.timeline(environment=ENVIRONMENT)
    return [e for e in events if isinstance(e, ResourceEvent) and e.kind is ResourceEventKind.DRIFT_REPAIRED]


def test_where_everything_is_as_recorded_nothing_is_written(stage: Stage, pauses: Pauses[Repair]) -> None:
    deployed(stage)
    deployed(stage, "2.0")
    fence = fence_of(stage)

    assert repair_environment(stage.world(), ENVIRONMENT, pauses=pauses) == []
    assert fence_of(stage) == fence
    assert not told(stage)


def test_a_process_that_nobody_knows_is_stopped_without_being_missed(stage: Stage, pauses: Pauses[Repair]) -> None:
    before = deployed(stage)
    endpoint = stray(stage)
    stage.proxy.attach("api", endpoint, fence=fence_of(stage))
    stage.proxy.set_weights("api", {"stray": 256}, fence=fence_of(stage))

    done = repaired(stage, pauses)

    assert stage.serving("api") == before
    assert stage.supervisor.running() == sorted(before)
    assert [b.endpoint.instance for b in stage.proxy.backends("api")] == list(before)
    assert [event.message for event in told(stage)] == done
    assert "stray stopped and retired: no record has it, or only a retired one" in done
    assert all(any(weights.values()) for _, weights in stage.proxy.history)


def test_a_recorded_instance_of_no_release_is_retired_and_its_port_given_back(
    stage: Stage, pauses: Pauses[Repair]
) -> None:
    before = deployed(stage)
    known = stage.records.instances.get(next(iter(before)))
    lease = stage.records.leases.acquire(ENVIRONMENT, "test", timedelta(seconds=60), minimum_fence=fence_of(stage))
    stage.records.instances.record(lease, replace(known, id="left-over", port=29000))
    stage.records.leases.release(lease)
    stage.provisioner.ports["left-over"] = 29000

    done = repaired(stage, pauses)

    assert len(done) == 1
    assert stage.records.instances.get("left-over").state is InstanceLife.RETIRED
    assert "left-over" not in stage.provisioner.ports


def test_a_stable_instance_that_is_gone_is_started_again(stage: Stage, pauses: Pauses[Repair]) -> None:
    before = deployed(stage)
    gone, stays = sorted(before)
    stage.supervisor.lose(gone)

    done = repaired(stage, pauses)

    assert stage.supervisor.running() == sorted(before)
    assert stage.serving("api") == before
    assert f"{gone} started again: it is stable and its process was gone" in done
    first = next(weights for _, weights in stage.proxy.history[1:] if weights[gone] == 0)
    assert first[stays] > 0


def test_a_stable_instance_without_any_other_is_started_again(stage: Stage, pauses: Pauses[Repair]) -> None:
    stage.deploy(specification(service("api")))
    (only,) = stage.serving("api")
    stage.supervisor.crash(only, 3)

    done = repaired(stage, pauses)

    assert done == [f"{only} started again: it is stable and its process had exited with code 3"]
    assert stage.supervisor.running() == [only]


def test_a_worker_that_is_gone_is_started_again(stage: Stage, pauses: Pauses[Repair]) -> None:
    stage.deploy(specification(service("jobs", type="worker")))
    (only,) = stage.supervisor.running()
    stage.supervisor.lose(only)

    repaired(stage, pauses)

    assert stage.supervisor.running() == [only]


def test_an_instance_that_keeps_ending_is_started_with_pauses(stage: Stage, pauses: Pauses[Repair]) -> None:
    before = deployed(stage)
    gone, stays = sorted(before)
    stage.supervisor.crash(gone)
    stage.supervisor.exits_on_start("api")
    started = len(stage.supervisor.starts)

    first = repair_environment(stage.world(), ENVIRONMENT, pauses=pauses)
    second = repair_environment(stage.world(), ENVIRONMENT, pauses=pauses)

    assert len(stage.supervisor.starts) == started + 1
    assert any(line.startswith(f"{gone} started again") for line in first)
    assert second == []
    assert list(stage.serving("api")) == [stays]


def test_an_instance_that_is_not_healthy_gets_no_traffic(stage: Stage, pauses: Pauses[Repair]) -> None:
    before = deployed(stage, timing={"healthy_deadline": "50ms"})
    gone, stays = sorted(before)
    port = stage.records.instances.get(gone).port
    stage.supervisor.lose(gone)
    stage.prober.sicken(port)

    repair_environment(stage.world(), ENVIRONMENT, pauses=pauses)
    assert list(stage.serving("api")) == [stays]

    stage.prober.heal(port)
    repaired(stage, Pauses())
    assert stage.serving("api") == before


def test_one_service_that_cannot_be_repaired_keeps_no_other_from_being_repaired(
    stage: Stage, pauses: Pauses[Repair]
) -> None:
    stage.deploy(specification(service("api"), service("web")))
    (api,), (web,) = stage.serving("api"), stage.serving("web")
    stage.supervisor.crash(api)
    stage.supervisor.crash(web)
    stage.supervisor.exits_on_start("api")

    repair_environment(stage.world(), ENVIRONMENT, pauses=pauses)

    assert stage.supervisor.running() == [web]


def test_a_warm_instance_that_is_gone_is_retired(stage: Stage, pauses: Pauses[Repair]) -> None:
    before = deployed(stage)
    after = deployed(stage, "2.0")
    warm = sorted(before)
    assert {stage.records.instances.get(name).state for name in warm} == {InstanceLife.WARM}
    stage.supervisor.lose(warm[0])

    repaired(stage, pauses)

    assert stage.records.instances.get(warm[0]).state is InstanceLife.RETIRED
    assert stage.records.instances.get(warm[1]).state is InstanceLife.WARM
    assert stage.serving("api") == after
    assert {b.endpoint.instance for b in stage.proxy.backends("api")} == {*after, warm[1]}


def test_traffic_that_goes_elsewhere_is_given_to_the_stable_release(stage: Stage, pauses: Pauses[Repair]) -> None:
    before = deployed(stage)
    after = deployed(stage, "2.0")
    stage.proxy.set_weights("api", dict.fromkeys(before, 128), fence=fence_of(stage))

    repaired(stage, pauses)

    assert stage.serving("api") == after


def test_stable_instances_that_are_not_attached_are_attached(stage: Stage, pauses: Pauses[Repair]) -> None:
    before = deployed(stage)
    lost = sorted(before)[0]
    stage.proxy.set_weights("api", {**before, lost: 0}, fence=fence_of(stage))
    stage.proxy.detach("api", lost, fence=fence_of(stage))

    repaired(stage, pauses)

    assert stage.serving("api") == before


def test_a_route_of_nobody_is_removed_with_its_ports(stage: Stage, pauses: Pauses[Repair]) -> None:
    before = deployed(stage)
    route = RouteDeclaration("web", stage.provisioner.free_port(f"{ENVIRONMENT}.web.route"), 28001)
    stage.proxy.ensure_routes([route], fence=fence_of(stage))

    repaired(stage, pauses)

    assert [route.service for route in stage.proxy.routes()] == ["api"]
    assert f"{ENVIRONMENT}.web.route" not in stage.provisioner.ports
    assert stage.serving("api") == before


def test_a_recorded_route_that_the_proxy_lacks_is_declared_on_its_ports(stage: Stage, pauses: Pauses[Repair]) -> None:
    before = deployed(stage)
    (known,) = stage.records.routes.of_environment(ENVIRONMENT)
    stage.proxy.remove_routes(["api"], fence=fence_of(stage))

    repaired(stage, pauses)

    (route,) = stage.proxy.routes()
    assert (route.port, route.preview_port) == (known.port, known.preview_port)
    assert stage.serving("api").keys() == before.keys()
    assert stage.records.routes.of_environment(ENVIRONMENT)[0] == replace(known, created_at=known.created_at)


def test_a_proxy_that_came_back_with_an_old_file_serves_what_is_stable(stage: Stage, pauses: Pauses[Repair]) -> None:
    deployed(stage)
    old = stage.proxy.routes()
    after = deployed(stage, "2.0")
    stage.proxy.promote({"api": old[0].stable}, fence=fence_of(stage))
    stage.proxy.kill()
    stage.proxy.restart()

    repaired(stage, pauses)

    assert stage.serving("api") == after
    assert {endpoint.instance for endpoint in stage.proxy.routes()[0].stable} == set(after)


def test_a_proxy_that_is_away_is_started_again(stage: Stage, pauses: Pauses[Repair]) -> None:
    before = deployed(stage)
    stage.proxy.kill()

    done = repaired(stage, pauses)

    assert done == ["proxy and meter started again: the proxy was away"]
    assert stage.serving("api").keys() == before.keys()


def test_a_machine_that_was_restarted_serves_what_was_stable(stage: Stage, pauses: Pauses[Repair]) -> None:
    deployed(stage)
    after = deployed(stage, "2.0")
    for name in stage.supervisor.running():
        stage.supervisor.lose(name)
    stage.proxy.kill()

    repaired(stage, pauses)

    assert stage.serving("api").keys() == after.keys()
    assert stage.supervisor.running() == sorted(after)


def test_an_armed_handle_without_a_deployment_is_disarmed_after_the_traffic_is_right(
    stage: Stage, pauses: Pauses[Repair]
) -> None:
    before = deployed(stage)
    after = deployed(stage, "2.0")
    fence = fence_of(stage)
    stage.proxy.arm_handle({"api": dict.fromkeys(before, 128)}, timedelta(seconds=60), fence=fence)
    stage.proxy.set_weights("api", dict.fromkeys(before, 128), fence=fence)
    stage.proxy.hold("api", timedelta(seconds=60), fence=fence)

    done = repaired(stage, pauses)

    assert not stage.proxy.handle().is_armed
    assert not stage.proxy.is_held("api")
    assert stage.serving("api") == after
    assert done[-1].startswith("handle disarmed")


def test_requests_that_a_lost_controller_held_go_on(stage: Stage, pauses: Pauses[Repair]) -> None:
    deployed(stage)
    stage.proxy.hold("api", timedelta(seconds=60), fence=fence_of(stage))

    done = repaired(stage, pauses)

    assert done == ["held requests of api released: requests were held and no deployment is under way"]
    assert not stage.proxy.is_held("api")


def test_a_handle_that_fired_is_cleared(stage: Stage, pauses: Pauses[Repair]) -> None:
    before = deployed(stage)
    after = deployed(stage, "2.0")
    stage.proxy.arm_handle({"api": dict.fromkeys(before, 128)}, timedelta(0), fence=fence_of(stage))
    assert stage.proxy.handle().has_fired

    repaired(stage, pauses)

    assert not stage.proxy.handle().has_fired
    assert stage.serving("api") == after


def test_nothing_is_touched_while_somebody_holds_the_environment(stage: Stage, pauses: Pauses[Repair]) -> None:
    before = deployed(stage)
    stage.supervisor.lose(sorted(before)[0])
    stage.records.leases.acquire(ENVIRONMENT, "somebody", timedelta(seconds=60))

    assert repair_environment(stage.world(), ENVIRONMENT, pauses=pauses) == []
    assert len(stage.supervisor.running()) == 1


def test_nothing_is_touched_while_a_deployment_is_under_way(stage: Stage, pauses: Pauses[Repair]) -> None:
    before = deployed(stage)
    with stage.held(specification(service("api", "2.0"))) as (conductor, run):
        conductor.enter(run, DeploymentStatus.VALIDATING)
        stage.supervisor.lose(sorted(before)[0])
        stage.expire_leases()
        assert repair_environment(stage.world(), ENVIRONMENT, pauses=pauses) == []
    assert len(stage.supervisor.running()) == 1


def test_what_waits_for_a_person_is_left_alone(stage: Stage, pauses: Pauses[Repair]) -> None:
    before = deployed(stage)
    bad = specification(service("api", "2.0", checks=[CHECK]), service("web"), rollback_procedures={"automatic": False})
    stage.prober.sicken(("look",))
    done = stage.deploy(bad)
    assert done is not None
    assert done.status is DeploymentStatus.ROLLBACK_FAILED
    running = stage.supervisor.running()
    assert len(running) > len(before)
    stage.supervisor.lose(sorted(before)[0])

    repaired(stage, pauses)

    assert stage.supervisor.running() == running
    assert stage.serving("api") == before
    assert {route.service for route in stage.proxy.routes()} == {"api", "web"}


CHECK = {"name": "front-page", "when": "before_traffic", "probe": {"kind": "command", "command": ["look"]}}


def test_what_was_destroyed_is_not_started_again(stage: Stage, pauses: Pauses[Repair]) -> None:
    before = deployed(stage)
    lease = stage.records.leases.acquire(ENVIRONMENT, "destroy", timedelta(seconds=60), minimum_fence=fence_of(stage))
    for name in before:
        stage.records.instances.set_state(lease, name, InstanceLife.RETIRED)
        stage.supervisor.lose(name)
    stage.records.leases.release(lease)
    stage.proxy.kill()

    assert repaired(stage, pauses) == []
    assert stage.supervisor.running() == []


def test_an_environment_that_runs_on_another_machine_is_not_started_here(
    stage: Stage, pauses: Pauses[Repair], fresh_database_url: str
) -> None:
    deployed(stage)
    other = Stage(fresh_database_url, stage.base)

    assert repair_environment(other.world(), ENVIRONMENT, pauses=pauses) == []
    assert other.supervisor.running() == []
    other.close()


def test_a_data_plane_that_does_not_come_up_keeps_nobody_waiting(
    stage: Stage, pauses: Pauses[Repair], monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed(stage)
    stage.proxy.kill()

    def refuse(*, fence: int) -> None:
        raise ProxyUnavailable("HAProxy did not start.")

    monkeypatch.setattr(stage.proxy, "ensure_running", refuse)

    assert repair_environment(stage.world(), ENVIRONMENT, pauses=pauses) == []
    assert stage.records.leases.holder(ENVIRONMENT) is None
    monkeypatch.undo()
    assert repair_environment(stage.world(), ENVIRONMENT, pauses=pauses) == [], "it rests first"
    assert repaired(stage, Pauses())


def test_a_repair_that_failed_is_tried_in_a_later_round(
    stage: Stage, pauses: Pauses[Repair], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = deployed(stage)
    stray(stage)

    def refuse(*_: object, **__: object) -> None:
        raise SupervisorUnavailable("It does not answer.")

    monkeypatch.setattr(stage.supervisor, "ensure_stopped", refuse)

    assert repair_environment(stage.world(), ENVIRONMENT, pauses=pauses) == []
    monkeypatch.undo()
    repaired(stage, Pauses())
    assert stage.supervisor.running() == sorted(before)


def test_a_recorded_route_of_nobody_is_forgotten(stage: Stage, pauses: Pauses[Repair]) -> None:
    deployed(stage)
    lease = stage.records.leases.acquire(ENVIRONMENT, "test", timedelta(seconds=60), minimum_fence=fence_of(stage))
    stage.records.routes.record(lease, [Route(ENVIRONMENT, "web", 28000, 28001)])
    stage.records.leases.release(lease)

    assert repaired(stage, pauses) == ["route of web removed: the service has no stable release and no deployment"]


def test_pauses_grow_and_are_forgotten() -> None:
    pauses: Pauses[str] = Pauses()
    pauses.note("here", "it", now=0)
    assert pauses.resting("here", now=0.5) == {"it"}
    assert pauses.resting("there", now=0.5) == frozenset()
    assert pauses.resting("here", now=1) == frozenset()
    pauses.note("here", "it", now=1)
    assert pauses.resting("here", now=2.5) == {"it"}
    assert pauses.resting("here", now=3) == frozenset()
    assert pauses.resting("here", now=10_000) == frozenset()
    pauses.note("here", "it", now=10_000)
    assert pauses.resting("here", now=10_001) == frozenset()
