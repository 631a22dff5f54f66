"""The journal: intent before effect, receipt after, each written once whatever is repeated."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from deployments.domain.errors import LeaseLost, NotFound
from deployments.domain.events import DeploymentEvent, DeploymentEventKind
from deployments.store.records import Records
from tests.store.conftest import LONG, Held

KIND = DeploymentEventKind


def told(held: Held) -> list[tuple[str, str | None]]:
    happened = held.records.events.timeline(deployment=held.deployment)
    return [
        (e.kind.value, e.step) for e in happened if isinstance(e, DeploymentEvent) and e.kind.value.startswith("Step")
    ]


def test_a_new_intent_says_perform_and_leaves_the_step_in_doubt(held: Held) -> None:
    assert held.records.journal.intend(held.lease, held.deployment, "start:a", {"kind": "start"}) is None
    (entry,) = held.records.journal.entries(held.deployment)
    assert (entry.key, entry.action, entry.is_done, entry.values) == ("start:a", {"kind": "start"}, False, {})
    assert entry.fence == held.lease.fence


def test_an_intent_of_a_finished_step_returns_its_receipt(held: Held) -> None:
    journal = held.records.journal
    journal.intend(held.lease, held.deployment, "start:a", {})
    journal.receipt(held.lease, held.deployment, "start:a", {"port": 8001})
    assert journal.intend(held.lease, held.deployment, "start:a", {}) == {"port": 8001}
    assert told(held) == [("StepIntended", "start:a"), ("StepDone", "start:a")]


def test_a_receipt_without_values_is_a_receipt(held: Held) -> None:
    journal = held.records.journal
    journal.intend(held.lease, held.deployment, "disarm", {})
    journal.receipt(held.lease, held.deployment, "disarm", {})
    assert journal.intend(held.lease, held.deployment, "disarm", {}) == {}
    assert journal.receipts(held.deployment) == {"disarm": {}}


def test_the_first_receipt_is_kept_and_told_once(held: Held) -> None:
    journal = held.records.journal
    journal.intend(held.lease, held.deployment, "start:a", {})
    journal.receipt(held.lease, held.deployment, "start:a", {"port": 8001})
    journal.receipt(held.lease, held.deployment, "start:a", {"port": 9999})
    assert journal.receipts(held.deployment) == {"start:a": {"port": 8001}}
    assert told(held).count(("StepDone", "start:a")) == 1


def test_an_intent_again_by_the_same_writer_says_perform_and_is_told_once(held: Held) -> None:
    journal = held.records.journal
    for _ in range(3):
        assert journal.intend(held.lease, held.deployment, "start:a", {}) is None
    (entry,) = journal.entries(held.deployment)
    assert (entry.attempts, entry.is_done) == (1, False)
    assert told(held) == [("StepIntended", "start:a")]


def test_a_step_in_doubt_counts_its_writers(held: Held) -> None:
    journal, lease = held.records.journal, held.lease
    for owner in ("second", "third"):
        journal.intend(lease, held.deployment, "start:a", {})
        lease = held.records.leases.take_over(held.environment, owner, LONG)
    assert journal.intend(lease, held.deployment, "start:a", {}) is None
    (entry,) = journal.entries(held.deployment)
    assert (entry.attempts, entry.fence, entry.is_done) == (3, lease.fence, False)
    assert told(held) == [("StepIntended", "start:a")] * 3


def test_a_receipt_without_an_intent_is_refused(held: Held) -> None:
    with pytest.raises(NotFound, match="start:a"):
        held.records.journal.receipt(held.lease, held.deployment, "start:a", {})


def test_an_intent_for_an_unknown_deployment_is_refused(held: Held) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        held.records.journal.intend(held.lease, "nowhere", "start:a", {})


def test_undo_steps_have_entries_and_events_of_their_own(held: Held) -> None:
    journal = held.records.journal
    for key in ("start:a", "undo:start:a"):
        journal.intend(held.lease, held.deployment, key, {})
        journal.receipt(held.lease, held.deployment, key, {})
    assert [(entry.key, entry.is_undo) for entry in journal.entries(held.deployment)] == [
        ("start:a", False),
        ("undo:start:a", True),
    ]
    assert told(held)[2:] == [("StepUndoIntended", "undo:start:a"), ("StepUndone", "undo:start:a")]


def test_a_failed_attempt_is_told_and_leaves_the_step_in_doubt(held: Held) -> None:
    held.records.journal.intend(held.lease, held.deployment, "start:a", {})
    held.records.journal.failed(held.lease, held.deployment, "start:a", "exit code 1")
    assert told(held)[-1] == ("StepFailed", "start:a")
    assert not held.records.journal.entries(held.deployment)[0].is_done


def test_entries_are_in_the_order_of_their_first_intents(held: Held) -> None:
    keys = [f"step:{number}" for number in (3, 1, 2)]
    for key in (*keys, keys[0]):
        held.records.journal.intend(held.lease, held.deployment, key, {})
    assert [entry.key for entry in held.records.journal.entries(held.deployment)] == keys


def test_a_writer_whose_lease_was_taken_writes_nothing(held: Held) -> None:
    held.records.journal.intend(held.lease, held.deployment, "start:a", {})
    held.records.leases.take_over(held.environment, "another", LONG)
    with pytest.raises(LeaseLost, match="another"):
        held.records.journal.receipt(held.lease, held.deployment, "start:a", {"port": 1})
    assert not held.records.journal.entries(held.deployment)[0].is_done
    assert ("StepDone", "start:a") not in told(held)


def test_a_writer_that_was_stopped_past_its_lease_writes_nothing_though_nobody_took_it(
    records: Records, environment: str, held: Held
) -> None:
    records.leases.release(held.lease)
    late = records.leases.acquire(environment, "sleeper", timedelta(0))
    with pytest.raises(LeaseLost, match="expired"):
        records.journal.intend(late, held.deployment, "start:a", {})
    assert records.journal.entries(held.deployment) == []


def test_the_deployment_counts_finished_steps_forward(held: Held) -> None:
    held.records.deployments.save_plan(held.lease, held.deployment, {"steps": [{}, {}, {}]})
    for key in ("start:a", "start:b", "undo:start:a"):
        held.records.journal.intend(held.lease, held.deployment, key, {})
        held.records.journal.receipt(held.lease, held.deployment, key, {})
    assert (held.present().steps_done, held.present().steps_total) == (2, 3)


def test_text_that_postgresql_refuses_is_stored_with_that_part_replaced(held: Held) -> None:
    journal = held.records.journal
    strange = "tail\x00of \\u0000 a \udcff log"
    journal.intend(held.lease, held.deployment, "build", {"text": strange})
    journal.receipt(held.lease, held.deployment, "build", {"text": strange, "rate": float("nan"), "most": float("inf")})
    receipt = journal.receipts(held.deployment)["build"]
    assert receipt == {"text": "tail\ufffdof \\u0000 a ? log", "rate": None, "most": None}
    held.records.journal.failed(held.lease, held.deployment, "build", strange)


def test_many_threads_write_every_step_once_and_tell_it_once(held: Held) -> None:
    keys = [f"step:{number}" for number in range(96)]

    def write(key: str) -> None:
        for _ in range(2):
            held.records.journal.intend(held.lease, held.deployment, key, {"key": key})
            held.records.journal.receipt(held.lease, held.deployment, key, {"key": key})

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(write, keys))
    assert held.records.journal.receipts(held.deployment) == {key: {"key": key} for key in keys}
    assert sorted(told(held)) == sorted([(kind, key) for kind in ("StepIntended", "StepDone") for key in keys])


def test_one_step_written_by_many_threads_at_once_is_finished_once(held: Held) -> None:
    def write(number: int) -> object:
        finished = held.records.journal.intend(held.lease, held.deployment, "start:a", {})
        if finished is None:
            held.records.journal.receipt(held.lease, held.deployment, "start:a", {"by": number})
        return finished

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(write, range(32)))
    assert told(held).count(("StepDone", "start:a")) == 1
    assert held.records.journal.entries(held.deployment)[0].is_done
