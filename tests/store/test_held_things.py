"""What an environment holds: stable releases, instances, routes, resources, quarantine; and built releases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from deployments.domain.entities import Instance, InstanceLife, Release, Resource, Route
from deployments.domain.errors import LeaseLost, NotFound, Refused
from deployments.domain.ports import Endpoint
from deployments.domain.status import DeploymentStatus
from deployments.store.records import Records
from deployments.store.stables import StableRelease
from tests.store.conftest import LONG, Held

NOW = datetime(2026, 3, 4, tzinfo=UTC)


def stable(service: str, revision: str, *instances: str) -> StableRelease:
    endpoints = tuple(Endpoint(name, 8000 + number, revision) for number, name in enumerate(instances))
    return StableRelease(service, revision, f"digest-{revision}", f"v-{revision}", endpoints, cpu=0.5, memory_mb=64)


def instance(held: Held, name: str, **given: object) -> Instance:
    asked: dict[str, object] = {
        "id": name,
        "environment": held.environment,
        "service": "web",
        "revision": "r1",
        "release": "digest-r1",
        "deployment": held.deployment,
        "port": 8001,
        "state": InstanceLife.STARTING,
        "created_at": NOW,
        "program": {"cpu": 0.5, "memory_mb": 64},
        **given,
    }
    return Instance(**asked)  # type: ignore[arg-type]


def test_all_services_are_marked_stable_together_and_again_changes_nothing(held: Held) -> None:
    releases = [stable("web", "r1", f"{held.environment}-web-1"), stable("api", "r1")]
    held.records.instances.record(held.lease, instance(held, f"{held.environment}-web-1"))
    for _ in range(2):
        held.records.stables.mark(held.lease, held.deployment, releases)
    found = held.records.stables.current(held.environment)
    assert {name: (s.revision, s.endpoints, s.deployment) for name, s in found.items()} == {
        "web": ("r1", releases[0].endpoints, held.deployment),
        "api": ("r1", (), held.deployment),
    }
    assert held.records.instances.get(f"{held.environment}-web-1").state is InstanceLife.SERVING
    kinds = [event.kind.value for event in held.records.events.timeline(deployment=held.deployment)]
    assert kinds.count("ReleaseMarkedStable") == 2
    assert found["web"].as_running().cpu == 0.5


def test_marking_without_the_lease_marks_nothing(held: Held) -> None:
    held.records.leases.take_over(held.environment, "another", LONG)
    with pytest.raises(LeaseLost):
        held.records.stables.mark(held.lease, held.deployment, [stable("web", "r1")])
    assert held.records.stables.current(held.environment) == {}


def test_the_previous_stable_is_the_last_of_another_revision(held: Held) -> None:
    stables = held.records.stables
    for revision in ("r1", "r2", "r3", "r3"):
        stables.mark(held.lease, held.open().id, [stable("web", revision)])
    assert stables.current(held.environment)["web"].revision == "r3"
    assert stables.previous(held.environment)["web"].revision == "r2"
    assert [release.revision for release in stables.history(held.environment, "web")] == ["r3", "r3", "r2", "r1"]


def test_there_is_no_previous_stable_after_the_first(held: Held) -> None:
    held.records.stables.mark(held.lease, held.deployment, [stable("web", "r1")])
    assert held.records.stables.previous(held.environment) == {}
    assert held.records.stables.last_deployment(held.environment) == held.deployment
    assert held.records.stables.of_deployment(held.deployment)["web"].revision == "r1"


def test_an_instance_is_recorded_and_found_with_its_program(held: Held) -> None:
    name = f"{held.environment}-a"
    held.records.instances.record(held.lease, instance(held, name))
    held.records.instances.record(held.lease, instance(held, name, port=9001))
    found = held.records.instances.get(name)
    assert (found.port, found.program, found.state) == (9001, {"cpu": 0.5, "memory_mb": 64}, InstanceLife.STARTING)


def test_warm_instances_are_due_when_their_time_is_over(held: Held) -> None:
    records, now = held.records, datetime.now(UTC)
    for name, retire_at in (("due", now - timedelta(hours=1)), ("kept", now + timedelta(hours=1))):
        identity = f"{held.environment}-{name}"
        records.instances.record(held.lease, instance(held, identity))
        records.instances.set_state(held.lease, identity, InstanceLife.WARM, retire_at=retire_at)
    assert [found.id for found in records.instances.due_for_retirement(held.environment)] == [f"{held.environment}-due"]
    later = now + timedelta(hours=2)
    assert len(records.instances.due_for_retirement(held.environment, now=later)) == 2
    records.instances.set_state(held.lease, f"{held.environment}-due", InstanceLife.RETIRED)
    assert records.instances.due_for_retirement(held.environment) == []
    assert [found.id for found in records.instances.of_environment(held.environment)] == [f"{held.environment}-kept"]
    assert len(records.instances.of_environment(held.environment, with_retired=True)) == 2
    assert len(records.instances.of_deployment(held.deployment)) == 2


def test_an_instance_is_told_once_to_be_where_it_is(held: Held) -> None:
    name = f"{held.environment}-told"
    held.records.instances.record(held.lease, instance(held, name))
    for state in (InstanceLife.WARM, InstanceLife.WARM, InstanceLife.RETIRED, InstanceLife.RETIRED):
        held.records.instances.set_state(held.lease, name, state, retire_at=NOW)
    happened = held.records.events.timeline(environment=held.environment)
    told = [event.kind.value for event in happened if event.kind.value.startswith("Instance")]
    assert told == ["InstanceKeptWarm", "InstanceRetired"]


def test_a_warm_instance_that_serves_again_is_not_due(held: Held) -> None:
    name = f"{held.environment}-back"
    held.records.instances.record(held.lease, instance(held, name))
    held.records.instances.set_state(held.lease, name, InstanceLife.WARM, retire_at=NOW)
    held.records.instances.set_state(held.lease, name, InstanceLife.SERVING)
    assert held.records.instances.due_for_retirement(held.environment) == []


def test_retiring_what_was_never_recorded_is_fine_and_anything_else_is_not(held: Held) -> None:
    held.records.instances.set_state(held.lease, "never", InstanceLife.RETIRED)
    with pytest.raises(NotFound, match="never"):
        held.records.instances.set_state(held.lease, "never", InstanceLife.WARM)
    with pytest.raises(NotFound, match="never"):
        held.records.instances.get("never")


def test_routes_are_recorded_changed_and_removed(held: Held) -> None:
    routes = held.records.routes
    routes.record(held.lease, [Route(held.environment, "web", 80, 81), Route(held.environment, "api", 90, 91)])
    routes.record(held.lease, [Route(held.environment, "web", 82, 83)])
    found = [(route.service, route.port, route.preview_port) for route in routes.of_environment(held.environment)]
    assert found == [("api", 90, 91), ("web", 82, 83)]
    routes.remove(held.lease, ["web", "unknown"])
    assert [route.service for route in routes.of_environment(held.environment)] == ["api"]


def test_resources_keep_their_maker_and_are_removed_once(held: Held) -> None:
    resources, key = held.records.resources, f"{held.environment}.data"
    made = Resource(held.environment, "data", "directory", key, {"path": "/data"}, held.deployment, NOW)
    resources.record(held.lease, made)
    other = held.open()
    resources.record(held.lease, Resource(held.environment, "data", "directory", key, {"path": "/new"}, other.id, NOW))
    found = resources.find(key)
    assert found is not None
    assert (found.values, found.deployment) == ({"path": "/new"}, held.deployment)
    assert resources.of_environment(held.environment, kind="directory") == [found]
    assert resources.of_environment(held.environment, kind="port") == []
    assert found in resources.of_kind("directory")
    for _ in range(2):
        resources.remove(held.lease, key)
    assert resources.find(key) is None
    happened = held.records.events.timeline(environment=held.environment)
    assert [event.kind.value for event in happened].count("ResourceRemoved") == 1


def test_a_resource_is_told_again_only_when_it_is_another(held: Held) -> None:
    resources, key = held.records.resources, f"{held.environment}.data"
    for path in ("/data", "/data", "/new"):
        made = Resource(held.environment, "data", "directory", key, {"path": path}, held.deployment, NOW)
        resources.record(held.lease, made)
    happened = held.records.events.timeline(environment=held.environment)
    assert [event.kind.value for event in happened].count("ResourceProvisioned") == 2


def test_releases_are_known_by_digest_whatever_the_environment(records: Records) -> None:
    release = Release("digest-1", "web", "1.0", "/releases/1", 1234, NOW, "d")
    records.releases.record(release)
    records.releases.record(Release("digest-1", "other", "9", "/moved/1", 1234, NOW))
    found = records.releases.find("digest-1")
    assert found is not None
    assert (found.service, found.path) == ("web", "/moved/1")
    assert records.releases.built(["digest-1", "digest-2"]) == {"digest-1"}
    assert [found.digest for found in records.releases.of_service("web")] == ["digest-1"]
    records.releases.forget("digest-1")
    assert records.releases.find("digest-1") is None


def test_a_revision_is_quarantined_once_until_it_is_lifted_with_a_reason(held: Held) -> None:
    quarantine = held.records.quarantine
    for reason in ("pages failed", "again"):
        quarantine.add(held.lease, revision="r3", service="web", deployment=held.deployment, reason=reason)
    (entry,) = quarantine.active(held.environment).values()
    assert (entry.revision, entry.service, entry.reason) == ("r3", "web", "pages failed")
    with pytest.raises(Refused, match="reason"):
        quarantine.lift(held.environment, "r3", by="ada", reason="  ")
    quarantine.lift(held.environment, "r3", by="ada", reason="the upstream is mended")
    assert quarantine.active(held.environment) == {}
    with pytest.raises(NotFound, match="r3"):
        quarantine.lift(held.environment, "r3", by="ada", reason="twice")
    kinds = [event.kind.value for event in held.records.events.timeline(environment=held.environment)]
    assert [kind for kind in kinds if "uarantine" in kind] == ["RevisionQuarantined", "QuarantineLifted"]


def test_a_quarantine_holds_in_its_own_environment(held: Held, records: Records) -> None:
    held.records.quarantine.add(held.lease, revision="r9", service="web", reason="bad")
    records.environments.ensure_default("clean", project="shop", principal="ada")
    assert records.quarantine.active("clean") == {}


def test_the_state_of_things_is_told_in_one_aggregate(held: Held) -> None:
    records, name = held.records, f"{held.environment}-web-1"
    records.instances.record(held.lease, instance(held, name))
    records.routes.record(held.lease, [Route(held.environment, "web", 80, 81)])
    records.stables.mark(held.lease, held.deployment, [stable("web", "r1", name)])
    held.bring_to(DeploymentStatus.DEPLOYING)
    found = records.queries.environment(held.environment)
    assert (found.status.value, [s.name for s in found.services]) == ("changing", ["web"])
    assert [i.id for i in found.serving("web")] == [name]
    assert [r.port for r in found.routes] == [80]
    assert found.current is not None
    assert found.current.id == held.deployment
    assert found in records.queries.environments()
