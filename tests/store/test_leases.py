"""One writer per environment: leases are taken, renewed, lost, and never held twice."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from deployments.domain.errors import LeaseHeld, LeaseLost, NotFound
from deployments.domain.status import DeploymentStatus
from deployments.store.records import Records
from deployments.store.transactions import Lease
from tests.store.conftest import LONG, Held, open_deployment

EXPIRED = timedelta(0)


def test_a_free_lease_is_taken_with_the_first_fence(records: Records, environment: str) -> None:
    lease = records.leases.acquire(environment, "one", LONG)
    assert (lease.environment, lease.owner, lease.fence) == (environment, "one", 1)
    assert lease.expires_at.tzinfo is not None
    assert records.leases.holder(environment) == lease


def test_a_held_lease_is_refused_naming_holder_and_expiry(records: Records, environment: str) -> None:
    held = records.leases.acquire(environment, "one", LONG)
    with pytest.raises(LeaseHeld, match="one") as caught:
        records.leases.acquire(environment, "two", LONG)
    assert caught.value.context["holder"] == "one"
    assert caught.value.context["expires_at"] == held.expires_at


def test_an_expired_lease_is_taken_with_a_higher_fence(records: Records, environment: str) -> None:
    first = records.leases.acquire(environment, "one", EXPIRED)
    assert records.leases.acquire(environment, "two", LONG).fence == first.fence + 1


def test_the_fence_is_above_what_the_data_plane_has_seen(records: Records, environment: str) -> None:
    assert records.leases.acquire(environment, "one", LONG, minimum_fence=41).fence == 42


def test_the_same_owner_asking_again_gets_a_new_fence_and_the_former_is_worth_nothing(
    records: Records, environment: str
) -> None:
    first = records.leases.acquire(environment, "one", LONG)
    second = records.leases.acquire(environment, "one", LONG)
    assert second.fence == first.fence + 1
    with pytest.raises(LeaseLost):
        records.leases.check(first)


def test_a_lease_of_an_unknown_environment_is_refused(records: Records) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        records.leases.acquire("nowhere", "one", LONG)


def test_renewing_moves_the_expiry_and_keeps_the_fence(records: Records, environment: str) -> None:
    lease = records.leases.acquire(environment, "one", LONG)
    renewed = records.leases.renew(lease)
    assert renewed.fence == lease.fence
    assert renewed.expires_at > lease.expires_at


def test_an_expired_lease_is_not_renewed_even_if_nobody_took_it(records: Records, environment: str) -> None:
    lease = records.leases.acquire(environment, "one", EXPIRED)
    with pytest.raises(LeaseLost, match="expired"):
        records.leases.renew(lease)


def test_a_lease_that_was_taken_over_is_not_renewed(records: Records, environment: str) -> None:
    lease = records.leases.acquire(environment, "one", LONG)
    taken = records.leases.take_over(environment, "two", LONG)
    assert taken.fence == lease.fence + 1
    with pytest.raises(LeaseLost, match="two") as caught:
        records.leases.renew(lease)
    assert caught.value.context["present_fence"] == taken.fence


def test_a_released_lease_is_free_and_its_fence_is_not_used_again(records: Records, environment: str) -> None:
    lease = records.leases.acquire(environment, "one", LONG)
    assert records.leases.release(lease)
    assert records.leases.holder(environment) is None
    assert records.leases.acquire(environment, "two", LONG).fence == lease.fence + 1


def test_releasing_what_somebody_else_holds_changes_nothing(records: Records, environment: str) -> None:
    lease = records.leases.acquire(environment, "one", LONG)
    taken = records.leases.take_over(environment, "two", LONG)
    assert not records.leases.release(lease)
    assert records.leases.holder(environment) == taken


def test_a_holder_raises_its_own_fence(records: Records, environment: str) -> None:
    lease = records.leases.acquire(environment, "one", LONG)
    raised = records.leases.refence(lease, minimum_fence=9)
    assert (raised.owner, raised.fence) == ("one", 10)


def test_a_holder_that_did_not_hear_the_answer_raises_its_fence_again(records: Records, environment: str) -> None:
    lease = records.leases.acquire(environment, "one", LONG)
    records.leases.refence(lease, minimum_fence=9)
    assert records.leases.refence(lease, minimum_fence=9).fence == 11


def test_a_fence_is_not_raised_by_who_lost_the_lease(records: Records, environment: str) -> None:
    lease = records.leases.acquire(environment, "one", LONG)
    records.leases.take_over(environment, "two", LONG)
    with pytest.raises(LeaseLost, match="two"):
        records.leases.refence(lease)


def test_of_many_that_ask_at_once_one_gets_it(records: Records, environment: str) -> None:
    barrier = threading.Barrier(16)

    def ask(number: int) -> Lease | None:
        barrier.wait()
        try:
            return records.leases.acquire(environment, f"owner-{number}", LONG)
        except LeaseHeld:
            return None

    with ThreadPoolExecutor(16) as pool:
        leases = [lease for lease in pool.map(ask, range(16)) if lease]
    assert len(leases) == 1
    assert records.leases.holder(environment) == leases[0]


def test_fences_of_many_takers_never_repeat(records: Records, environment: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        fences = list(pool.map(lambda n: records.leases.take_over(environment, f"owner-{n}", LONG).fence, range(40)))
    assert sorted(fences) == list(range(1, 41))


def test_a_taker_waits_for_a_writer_in_time_and_then_sees_what_it_wrote(held: Held) -> None:
    records, has_written, may_commit = held.records, threading.Event(), threading.Event()

    def write() -> None:
        with records.unit_of_work(held.lease) as unit:
            unit.journal.intend(held.lease, held.deployment, "start:a", {})
            has_written.set()
            may_commit.wait(30)

    def take() -> list[str]:
        records.leases.take_over(held.environment, "taker", LONG)
        return [entry.key for entry in records.journal.entries(held.deployment)]

    with ThreadPoolExecutor(2) as pool:
        writing = pool.submit(write)
        assert has_written.wait(30)
        taking = pool.submit(take)
        assert not taking.done()
        may_commit.set()
        writing.result(30)
        assert taking.result(30) == ["start:a"]


def test_renewing_and_writing_go_on_while_another_write_is_open(held: Held) -> None:
    records = held.records
    with records.unit_of_work(held.lease) as unit:
        unit.journal.intend(held.lease, held.deployment, "start:a", {})
        records.leases.renew(held.lease)
        records.journal.intend(held.lease, held.deployment, "start:b", {})
    assert [entry.key for entry in records.journal.entries(held.deployment)] == ["start:a", "start:b"]


def test_a_unit_of_work_that_fails_leaves_nothing(held: Held) -> None:
    class Stopped(Exception):
        pass

    def work() -> None:
        with held.records.unit_of_work(held.lease) as unit:
            unit.journal.intend(held.lease, held.deployment, "start:a", {})
            unit.deployments.advance(held.lease, held.deployment, DeploymentStatus.QUEUED)
            raise Stopped

    with pytest.raises(Stopped):
        work()
    assert held.records.journal.entries(held.deployment) == []
    assert held.present().status is DeploymentStatus.PENDING


def undriven(held: Held, silent_for: timedelta = timedelta(0)) -> list[str]:
    return [u.deployment for u in held.records.leases.undriven(silent_for) if u.environment == held.environment]


def test_a_deployment_whose_writer_holds_the_lease_is_driven(held: Held) -> None:
    assert undriven(held) == []


def test_a_deployment_under_way_is_undriven_as_soon_as_the_lease_is_over(held: Held) -> None:
    held.bring_to(DeploymentStatus.DEPLOYING)
    held.records.leases.release(held.lease)
    assert undriven(held, timedelta(hours=1)) == [held.deployment]


def test_a_deployment_that_waits_for_a_free_lease_is_given_time_to_take_it(held: Held) -> None:
    held.records.leases.release(held.lease)
    assert undriven(held, timedelta(hours=1)) == []
    assert undriven(held) == [held.deployment]


def test_a_deployment_that_never_had_a_lease_is_undriven_after_its_silence(records: Records, environment: str) -> None:
    opened = open_deployment(records, environment)
    mine = [u for u in records.leases.undriven() if u.environment == environment]
    assert [(u.deployment, u.status) for u in mine] == [(opened.id, DeploymentStatus.PENDING)]


def test_a_final_deployment_is_not_undriven(held: Held) -> None:
    held.bring_to(DeploymentStatus.COMPLETED)
    held.records.leases.release(held.lease)
    assert undriven(held) == []
