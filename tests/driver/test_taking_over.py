"""What the next controller does with a deployment that its own left: on or back, as phase and specification say."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.status import DeploymentStatus
from deployments.driver.opening import take_lease
from deployments.driver.recovery import MOST_RESUMPTIONS
from tests.driver.stage import ENVIRONMENT, Killed, QuickClock, Reaper, Stage, service, specification

RESUMES: dict[str, Any] = {"emergency_procedures": {"on_controller_lost": "resume"}}


def upgrade(version: str = "2.0", **fields: Any) -> DeploymentSpecification:
    """Another version of the one service."""
    return specification(service("api", version), **fields)


def number_of(stage: Stage, name: str) -> int:
    """Where the first write of this name comes in an upgrade that nobody kills."""
    reaper = Reaper()
    stage.deploy(upgrade("1.1"), reaper)
    return reaper.writes.index(name) + 1


def kinds(stage: Stage) -> list[str]:
    """The kinds of everything that is told of the last deployment."""
    return [str(event.kind) for event in stage.records.events.timeline(deployment=stage.last().id)]


def test_one_whose_releases_are_stable_on_record_goes_on_although_its_receipt_was_lost(stage: Stage) -> None:
    stage.deploy(specification())
    at = number_of(stage, "stables.mark")

    stage.deploy(upgrade(), Reaper(kill_at=at, after=True))
    stage.reconcile()

    assert stage.last().status is DeploymentStatus.COMPLETED
    assert stage.revision("api") == {stage.revision_asked(upgrade(), "api")}
    assert stage.revision("api") == {stage.records.stables.current(ENVIRONMENT)["api"].revision}


def test_one_that_wants_to_go_on_goes_on_from_where_its_journal_stands(stage: Stage) -> None:
    stage.deploy(specification())
    wanted = upgrade(**RESUMES)
    at = number_of(stage, "proxy.set_weights")

    stage.deploy(wanted, Reaper(kill_at=at, after=True))
    stage.reconcile()

    assert stage.last().status is DeploymentStatus.COMPLETED
    assert stage.revision("api") == {stage.revision_asked(wanted, "api")}
    assert kinds(stage).count("TakenOver") == 1
    started = [entry for entry in stage.records.journal.entries(stage.last().id) if entry.key.startswith("start:")]
    assert [entry.attempts for entry in started] == [1]


def test_one_that_wants_to_go_on_and_was_lost_before_its_plan_is_planned_by_the_next(stage: Stage) -> None:
    stage.deploy(specification())
    wanted = upgrade(**RESUMES)

    stage.deploy(wanted, Reaper(kill_at=number_of(stage, "deployments.save_plan")))
    stage.reconcile()

    assert stage.last().status is DeploymentStatus.COMPLETED


def test_one_that_loses_one_controller_after_the_other_comes_back(stage: Stage) -> None:
    stage.deploy(specification())
    at = number_of(stage, "proxy.attach")
    old = stage.revision("api")

    stage.deploy(upgrade(**RESUMES), Reaper(kill_at=at))
    for _ in range(MOST_RESUMPTIONS):
        with pytest.raises(Killed):
            stage.reconcile(Reaper(kill_at=2))
        stage.expire_leases()
    stage.reconcile()

    assert stage.last().status is DeploymentStatus.ROLLED_BACK
    assert stage.revision("api") == old


def test_traffic_that_the_handle_returned_is_not_moved_again_and_the_record_learns_of_it(stage: Stage) -> None:
    stage.deploy(specification())
    at = number_of(stage, "proxy.set_weights")
    old = stage.revision("api")

    stage.deploy(upgrade(**RESUMES), Reaper(kill_at=at, after=True))
    stage.proxy.renew_handle(timedelta(0), fence=stage.proxy.highest_fence())
    assert stage.proxy.handle().has_fired
    stage.reconcile()

    assert stage.last().status is DeploymentStatus.ROLLED_BACK
    assert stage.revision("api") == old
    assert "TrafficReturned" in kinds(stage)


def test_one_that_somebody_asked_to_cancel_is_cancelled_by_the_next(stage: Stage) -> None:
    stage.deploy(specification())
    wanted = upgrade(**RESUMES)

    stage.deploy(wanted, Reaper(kill_at=number_of(stage, "proxy.attach")))
    stage.records.commands.request(stage.last().id, "cancel", by="ada")
    stage.reconcile()

    assert stage.last().status is DeploymentStatus.ROLLED_BACK
    assert "cancelled" in str(stage.last().reason)
    assert stage.records.commands.pending(stage.last().id) is None


def test_records_restored_from_before_the_last_fences_do_not_lock_themselves_out(stage: Stage) -> None:
    stage.deploy(specification())
    stage.deploy(upgrade("1.1"))
    with stage.engine.begin() as connection:
        connection.execute(text("update fairlead.leases set fence = 0, owner = null"))

    stage.deploy(upgrade())

    assert stage.last().status is DeploymentStatus.COMPLETED
    assert stage.revision("api") == {stage.revision_asked(upgrade(), "api")}


def test_what_the_lost_controllers_steps_left_running_is_ended_before_anything_else(stage: Stage) -> None:
    stage.deploy(specification(), Reaper(kill_at=12))
    lost = stage.last().id

    stage.reconcile()

    assert stage.machine.ended == [lost]
    assert stage.last().is_final


def test_a_failed_change_of_scale_does_not_quarantine_the_revision_that_serves(stage: Stage) -> None:
    stage.deploy(specification())
    larger = specification(service("api", "1.0", scaling={"replicas": 3}))
    stage.supervisor.exits_on_start("api", revision=stage.revision_asked(larger, "api"))

    stage.deploy(larger)

    assert stage.last().status is DeploymentStatus.ROLLED_BACK
    assert stage.records.quarantine.active(ENVIRONMENT) == {}


def test_a_data_plane_that_takes_longer_to_start_than_a_lease_lasts_costs_nobody_the_lease(stage: Stage) -> None:
    stage.deploy(specification())
    clock, ensure_running = LeapingClock(), stage.proxy.ensure_running
    armed: list[int] = []

    def start_slowly(*, fence: int) -> None:
        ensure_running(fence=fence)
        if not armed:
            clock.leap(timedelta(seconds=60))
            stage.expire_leases()
        armed.append(fence)

    stage.proxy.ensure_running = start_slowly  # type: ignore[method-assign]
    lease = take_lease(replace(stage.world(), clock=clock), ENVIRONMENT, "ada")

    assert stage.records.leases.holder(ENVIRONMENT) == lease
    assert armed == [lease.fence - 1, lease.fence]


class LeapingClock(QuickClock):
    """Time passes at once."""

    def __init__(self) -> None:
        self._leaped = 0.0

    def leap(self, duration: timedelta) -> None:
        self._leaped += duration.total_seconds()

    def monotonic(self) -> float:
        return super().monotonic() + self._leaped
