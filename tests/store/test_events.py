"""Events: appended whole, read as they were; none lost or doubled for a follower, whatever the order of commits."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from deployments.domain.errors import LeaseLost
from deployments.domain.events import (
    DeploymentEvent,
    DeploymentEventKind,
    Event,
    ResourceEvent,
    ResourceEventKind,
    SecurityEvent,
    SecurityEventKind,
    Source,
)
from deployments.domain.values import SecurityFinding, Severity
from deployments.store.records import Records
from tests.store.conftest import LONG, Held

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
QUICKLY = timedelta(milliseconds=5)


def noted(deployment: str, message: str) -> DeploymentEvent:
    return DeploymentEvent(
        kind=DeploymentEventKind.CHECK_JUDGED,
        deployment=deployment,
        environment="stage",
        correlation_id="c",
        source=Source.FLOW,
        at=AT,
        message=message,
    )


def unnumbered(event: Event) -> dict[str, object]:
    return {name: getattr(event, name) for name in type(event).__slots__ if name != "sequence"}


FINDING = SecurityFinding(Severity.CRITICAL, "S1", "app.py:3", "a password", "read it from a secret")
EACH_KIND: list[Event] = [
    DeploymentEvent(
        kind=DeploymentEventKind.TRAFFIC_SHIFTED,
        deployment="each-kind",
        environment="stage",
        correlation_id="c-1",
        source=Source.PROXY,
        at=AT,
        step="shift:web:1",
        service="web",
        message="half",
        data={"weights": {"a": 128}},
    ),
    ResourceEvent(
        kind=ResourceEventKind.PROVISIONED,
        resource="data",
        environment="stage",
        correlation_id="c-2",
        source=Source.DRIVER,
        at=AT,
        deployment="each-kind",
        service="web",
    ),
    SecurityEvent(
        kind=SecurityEventKind.WEAKNESS_FOUND,
        principal="ada",
        environment="stage",
        correlation_id="c-3",
        source=Source.CLI,
        at=AT,
        severity=Severity.CRITICAL,
        deployment="each-kind",
        finding=FINDING,
        data={"n": 1},
    ),
]


def test_every_kind_comes_back_as_it_was_with_a_growing_sequence(records: Records) -> None:
    sequences = records.events.append(*EACH_KIND)
    assert sequences == sorted(sequences)
    found = records.events.timeline(deployment="each-kind")
    assert [unnumbered(event) for event in found] == [unnumbered(event) for event in EACH_KIND]
    assert [event.sequence for event in found] == sequences


def test_an_event_about_no_deployment_is_read_by_its_environment(records: Records) -> None:
    event = SecurityEvent(
        kind=SecurityEventKind.PERMISSION_REFUSED,
        principal="eve",
        environment="vault",
        correlation_id="c",
        source=Source.API,
        at=AT,
    )
    records.events.append(event)
    assert [unnumbered(found) for found in records.events.timeline(environment="vault")] == [unnumbered(event)]


def test_events_under_a_lost_lease_are_not_written(held: Held) -> None:
    held.records.leases.take_over(held.environment, "another", LONG)
    with pytest.raises(LeaseLost):
        held.records.events.append(noted("late", "too late"), lease=held.lease)
    assert held.records.events.timeline(deployment="late") == []


def test_a_follower_reads_on_from_the_last_it_has(records: Records) -> None:
    records.events.append(*(noted("pages", str(number)) for number in range(7)))
    seen: list[str] = []
    after = 0
    following = records.events.follow(deployment="pages", until=lambda: True, poll=QUICKLY)
    assert [event.message for event in following] == [str(number) for number in range(7)]
    while batch := records.events.read(after=after, deployment="pages", limit=3):
        seen += [event.message for event in batch]
        after = batch[-1].sequence or 0
    assert seen == [str(number) for number in range(7)]


def test_a_follower_waits_for_a_slow_transaction_instead_of_passing_it_by(records: Records) -> None:
    with records.unit_of_work() as slow:
        slow.events.append(noted("slow", "written first, committed last"))
        records.events.append(noted("slow", "written last, committed first"))
        assert [event.message for event in records.events.timeline(deployment="slow")] == [
            "written last, committed first"
        ]
        assert records.events.read(deployment="slow") == []
    following = records.events.follow(deployment="slow", until=lambda: True, poll=QUICKLY)
    assert [event.message for event in following] == ["written first, committed last", "written last, committed first"]


def test_a_sequence_that_was_taken_early_by_a_late_transaction_is_not_skipped(records: Records) -> None:
    """The older transaction writes and ends first, though it took the higher sequence."""
    with records.unit_of_work() as older:
        older.events.append(noted("crossed", "older 1"))
        with records.unit_of_work() as younger:
            younger.events.append(noted("crossed", "younger 2"))
            older.events.append(noted("crossed", "older 3"))
    messages = [e.message for e in records.events.follow(deployment="crossed", until=lambda: True, poll=QUICKLY)]
    assert messages == ["older 1", "older 3", "younger 2"]


def test_nothing_is_lost_or_doubled_for_a_follower_of_many_writers(records: Records) -> None:
    writers, each = 24, 12
    finished = threading.Event()

    def write(writer: int) -> None:
        for number in range(each):
            with suppress(ZeroDivisionError), records.unit_of_work() as unit:
                unit.events.append(noted("crowd", f"{writer}:{number}:a"))
                unit.events.append(noted("crowd", f"{writer}:{number}:b"))
                if (writer + number) % 5 == 0:
                    raise ZeroDivisionError

    def follow() -> list[str]:
        following = records.events.follow(deployment="crowd", until=finished.is_set, poll=QUICKLY)
        return [event.message for event in following]

    with ThreadPoolExecutor(writers + 2) as pool:
        followers = [pool.submit(follow) for _ in range(2)]
        for writing in [pool.submit(write, writer) for writer in range(writers)]:
            writing.result(60)
        finished.set()
        heard = [follower.result(60) for follower in followers]
    expected = [
        f"{writer}:{number}:{part}"
        for writer in range(writers)
        for number in range(each)
        for part in "ab"
        if (writer + number) % 5 != 0
    ]
    assert heard[0] == heard[1]
    assert sorted(heard[0]) == sorted(expected)
    for writer in range(writers):
        own = [message for message in heard[0] if message.startswith(f"{writer}:")]
        assert own == [message for message in expected if message.startswith(f"{writer}:")]
