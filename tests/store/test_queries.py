"""What people ask: history in pages, statistics, failures, health and utilisation."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, update

from deployments.domain.entities import EnvironmentStatus, Instance, InstanceLife
from deployments.domain.environment import Capacity, EnvironmentRecord
from deployments.domain.errors import NotFound
from deployments.domain.ports import Endpoint
from deployments.domain.status import DeploymentStatus, Reason
from deployments.store.engine import make_engine
from deployments.store.queries import Criteria, DeploymentType
from deployments.store.records import Records
from deployments.store.stables import StableRelease
from deployments.store.tables import deployments
from tests.store.conftest import LONG, Held

S = DeploymentStatus
START = datetime(2026, 1, 1, tzinfo=UTC)
STATUSES = (S.COMPLETED, S.COMPLETED, S.COMPLETED, S.ROLLED_BACK, S.FAILED, S.CANCELLED)


@pytest.fixture(scope="module")
def past(records: Records, database_url: str) -> Iterator[Records]:
    """120 deployments, one an hour, of two environments and two projects; several at one moment."""
    for name, project in (("north", "shop"), ("south", "bank")):
        records.environments.put(EnvironmentRecord(name=name, project=project), by="ada")
    rows = []
    for number in range(120):
        status = STATUSES[number % len(STATUSES)]
        began = START + timedelta(hours=number - number % 3)
        rows.append(
            {
                "id": f"p-{number:03}",
                "name": f"p-{number:03}",
                "project": ("shop", "bank")[number % 2],
                "environment": ("north", "south")[number % 2],
                "status": status.value,
                "reason": (Reason.CHECK_FAILED if status is S.ROLLED_BACK else Reason.NONE).value,
                "created_by": ("ada", "bob")[number % 2],
                "correlation_id": "c",
                "is_rollback": number % 10 == 0,
                "retry": 1 if number % 10 == 1 else 0,
                "created_at": began,
                "updated_at": began,
                "finished_at": began + timedelta(seconds=number + 1),
            }
        )
    engine = make_engine(database_url)
    try:
        with engine.begin() as connection:
            connection.execute(insert(deployments), rows)
        yield records
    finally:
        engine.dispose()


BOTH = Criteria(until=START + timedelta(days=30))


def numbers(found: list[object]) -> list[int]:
    return [int(deployment.id[2:]) for deployment in found]  # type: ignore[attr-defined]


def test_history_is_newest_first_and_ends(past: Records) -> None:
    everything = past.queries.history(BOTH, limit=1000)
    assert numbers(everything) == list(reversed(range(120)))


def test_pages_by_offset_and_by_the_last_one_are_the_same(past: Records) -> None:
    by_offset = [past.queries.history(BOTH, limit=7, offset=start) for start in range(0, 133, 7)]
    by_last = [past.queries.history(BOTH, limit=7)]
    while by_last[-1]:
        by_last.append(past.queries.history(BOTH, limit=7, before=by_last[-1][-1]))
    assert by_last == by_offset
    assert numbers([d for page in by_last for d in page]) == list(reversed(range(120)))


@pytest.mark.parametrize(
    ("criteria", "count"),
    [
        (Criteria(environment="north"), 60),
        (Criteria(project="bank"), 60),
        (Criteria(environment="north", project="bank"), 0),
        (Criteria(statuses=(S.COMPLETED, S.CANCELLED)), 80),
        (Criteria(reasons=(Reason.CHECK_FAILED,)), 20),
        (Criteria(type=DeploymentType.ROLLBACK), 12),
        (Criteria(type=DeploymentType.RETRY), 12),
        (Criteria(type=DeploymentType.FORWARD), 96),
        (Criteria(created_by="bob"), 60),
        (Criteria(since=START + timedelta(hours=90)), 30),
        (Criteria(until=START + timedelta(hours=90)), 90),
        (Criteria(since=START + timedelta(hours=30), until=START + timedelta(hours=60)), 30),
        (Criteria(parent="p-001"), 0),
    ],
    ids=str,
)
def test_criteria_choose(past: Records, criteria: Criteria, count: int) -> None:
    assert past.queries.count(criteria) == count
    assert len(past.queries.history(criteria, limit=1000)) == count


def test_failed_ones_are_those_that_were_unsuccessful(past: Records) -> None:
    found = past.queries.failed(BOTH, limit=1000)
    assert {deployment.status for deployment in found} == {S.ROLLED_BACK, S.FAILED}
    assert len(found) == 40
    assert len(past.queries.failed(Criteria(environment="north", statuses=(S.FAILED,)), limit=1000)) == 20
    assert past.queries.failed(Criteria(statuses=(S.COMPLETED,))) == []


def test_statistics_over_a_time(past: Records) -> None:
    found = past.queries.statistics(BOTH)
    assert found.total == 120
    assert dict(found.by_status) == {S.COMPLETED: 60, S.ROLLED_BACK: 20, S.FAILED: 20, S.CANCELLED: 20}
    assert found.success_rate == pytest.approx(0.6)
    assert found.median_duration == timedelta(seconds=59)
    assert set(found.by_environment) == {"north", "south"}
    assert found.by_environment["north"].total == 60
    assert found.by_environment["south"].median_duration is not None
    assert sum(part.total for part in found.by_environment.values()) == found.total


def test_statistics_of_nothing(past: Records) -> None:
    found = past.queries.statistics(Criteria(environment="nowhere"))
    assert (found.total, found.success_rate, found.median_duration) == (0, None, None)


def test_recent_ones_of_an_environment_are_counted_for_a_plan(past: Records) -> None:
    since = START + timedelta(hours=60)
    assert past.queries.opened_since("north", since) == 30
    assert past.queries.unsuccessful_since("north", since) == 10
    assert past.queries.names_in_use("north", ["p-000", "p-001", "new"]) == {"p-000"}


def test_health_tells_what_was_and_who_drives(held: Held) -> None:
    first = held.records.queries.health(held.environment)
    assert (first.status, first.completed, first.holder) == (EnvironmentStatus.CHANGING, 0, "writer")
    held.bring_to(S.COMPLETED)
    failing = held.open()
    held.records.deployments.advance(held.lease, failing.id, S.FAILED, reason=Reason.REFUSED)
    held.records.quarantine.add(held.lease, revision="r", service="web", reason="bad")
    held.records.leases.release(held.lease)
    found = held.records.queries.health(held.environment)
    assert (found.completed, found.unsuccessful, found.quarantined, found.holder) == (1, 1, 1, None)
    assert found.last_completed_at is not None
    assert found.last_unsuccessful is not None
    assert found.last_unsuccessful.id == failing.id


def test_health_of_an_unknown_environment_is_refused(records: Records) -> None:
    for ask in (records.queries.health, records.queries.utilisation, records.queries.environment):
        with pytest.raises(NotFound, match="nowhere"):
            ask("nowhere")


def test_utilisation_is_what_live_instances_may_use_beside_the_capacity(records: Records) -> None:
    records.environments.put(
        EnvironmentRecord(name="full", project="shop", capacity=Capacity(cpu=4, memory_mb=1024)), by="ada"
    )
    lease = records.leases.acquire("full", "writer", LONG)
    for number, state in enumerate((InstanceLife.SERVING, InstanceLife.WARM, InstanceLife.RETIRED)):
        instance = Instance(
            f"full-{number}", "full", "web", "r1", "d1", "d", 80, state, START, program={"cpu": 0.5, "memory_mb": 128}
        )
        records.instances.record(lease, instance)
    found = records.queries.utilisation("full")
    assert (found.instances, found.warm, found.cpu, found.memory_mb) == (2, 1, 1.0, 256)
    assert found.shares == {"cpu": 0.25, "memory_mb": 0.25}


def test_warm_releases_carry_the_version_they_were_stable_with(held: Held) -> None:
    for revision in ("r1", "r2", "r3"):
        opened, names = held.open(), [f"{held.environment}-{revision}-{number}" for number in range(2)]
        for name in names:
            held.records.instances.record(
                held.lease,
                Instance(name, held.environment, "web", revision, "d", opened.id, 80, InstanceLife.STARTING, START),
            )
        endpoints = tuple(Endpoint(name, 80, revision) for name in names)
        stable = StableRelease("web", revision, f"d-{revision}", f"v-{revision}", endpoints, 0.5, 64)
        held.records.stables.mark(held.lease, opened.id, [stable])
        if revision != "r3":
            for name in names:
                held.records.instances.set_state(held.lease, name, InstanceLife.WARM, retire_at=START)
    found = held.records.queries.warm(held.environment)
    assert [(release.version, len(release.endpoints)) for release in found["web"]] == [("v-r2", 2), ("v-r1", 2)]


def test_events_restored_from_another_server_are_seen_again(fresh_database_url: str) -> None:
    from deployments.store.tables import events
    from tests.store.test_events import noted

    engine = make_engine(fresh_database_url)
    try:
        with Records(engine) as records:
            records.events.append(noted("restored", "one"), noted("restored", "two"))
            with engine.begin() as connection:
                connection.execute(update(events).values(transaction="9000000000"))
            assert records.events.read(deployment="restored") == []
            records.migrate()
            following = records.events.follow(deployment="restored", until=lambda: True, poll=timedelta(milliseconds=5))
            assert [event.message for event in following] == ["one", "two"]
    finally:
        engine.dispose()
