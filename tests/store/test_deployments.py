"""Deployments: opened once, moved by the table of states, failed and their undo planned in one transaction."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from deployments.domain.entities import Deployment
from deployments.domain.errors import IllegalTransition, LeaseLost, NotFound, Refused, VersionConflict
from deployments.domain.events import DeploymentEvent, DeploymentEventKind, Source
from deployments.domain.status import DeploymentStatus, Reason
from deployments.store.deployments import Document
from deployments.store.records import Records
from tests.store.conftest import LONG, Held, open_deployment

S = DeploymentStatus


def kinds(held: Held) -> list[str]:
    return [event.kind.value for event in held.records.events.timeline(deployment=held.deployment)]


def moves(held: Held) -> list[tuple[object, object]]:
    happened = held.records.events.timeline(deployment=held.deployment)
    return [(event.data["from"], event.data["to"]) for event in happened if "from" in event.data]


def test_an_opened_deployment_is_pending_with_all_it_was_opened_with(records: Records, environment: str) -> None:
    opened = open_deployment(records, environment, created_by="ada", flow_run="run-1", services=[("web", "2.1")])
    found = records.deployments.get(opened.id)
    assert found == opened
    assert (found.status, found.created_by, found.flow_run) == (S.PENDING, "ada", "run-1")
    assert found.services == (("web", "2.1"),)
    assert found.specification == {"services": [{"name": "web", "type": "web"}]}
    assert found.created_at.tzinfo is not None
    assert [event.kind for event in records.events.timeline(deployment=opened.id)] == [DeploymentEventKind.CREATED]


def test_opening_the_same_id_again_returns_what_is_there(records: Records, environment: str) -> None:
    first = open_deployment(records, environment, id="again", name="again")
    assert open_deployment(records, environment, id="again", name="again") == first
    assert len(records.events.timeline(deployment="again")) == 1


def test_a_name_in_use_is_refused_with_the_remedy(records: Records, environment: str) -> None:
    open_deployment(records, environment, name="release-7")
    with pytest.raises(Refused, match=r"release-7.*another name"):
        open_deployment(records, environment, name="release-7")


def test_a_name_may_be_used_in_two_environments_and_is_then_asked_for_with_one(
    records: Records, environment: str
) -> None:
    records.environments.ensure_default("elsewhere", project="shop", principal="ada")
    here = open_deployment(records, environment, name="both")
    there = open_deployment(records, "elsewhere", name="both")
    assert records.deployments.get("both", environment=environment).id == here.id
    assert records.deployments.get("both", environment="elsewhere").id == there.id
    with pytest.raises(Refused, match="Several"):
        records.deployments.get("both")


def test_of_many_that_open_one_name_at_once_one_succeeds(records: Records, environment: str) -> None:
    def ask(number: int) -> Deployment | None:
        try:
            return open_deployment(records, environment, id=f"race-{environment}-{number}", name="race")
        except Refused:
            return None

    with ThreadPoolExecutor(12) as pool:
        opened = [found for found in pool.map(ask, range(12)) if found]
    assert len(opened) == 1
    assert records.deployments.get("race", environment=environment) == opened[0]


def test_a_deployment_for_an_unknown_environment_is_refused(records: Records) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        open_deployment(records, "nowhere")


def test_an_unknown_deployment_is_refused_by_name(records: Records) -> None:
    with pytest.raises(NotFound, match="no-such-thing"):
        records.deployments.get("no-such-thing")


def test_the_latest_deployment_of_a_flow_run_is_found(records: Records, environment: str) -> None:
    open_deployment(records, environment, flow_run="run-7")
    latest = open_deployment(records, environment, flow_run="run-7", retry=1)
    assert records.deployments.by_flow_run("run-7") == latest
    assert records.deployments.by_flow_run("run-8") is None


def test_unfinished_ones_are_listed_oldest_first(held: Held) -> None:
    second = held.open()
    assert [found.id for found in held.records.deployments.unfinished(held.environment)] == [held.deployment, second.id]
    held.bring_to(S.COMPLETED)
    assert [found.id for found in held.records.deployments.unfinished(held.environment)] == [second.id]


def test_a_legal_move_changes_the_row_and_tells_it(held: Held) -> None:
    moved = held.records.deployments.advance(held.lease, held.deployment, S.QUEUED, message="waits")
    assert (moved.status, moved.message, moved.version, moved.fence) == (S.QUEUED, "waits", 1, held.lease.fence)
    assert moves(held) == [("pending", "queued")]


def test_an_illegal_move_is_refused_and_changes_nothing(held: Held) -> None:
    with pytest.raises(IllegalTransition):
        held.records.deployments.advance(held.lease, held.deployment, S.COMPLETED)
    assert held.present().version == 0
    assert moves(held) == []


def test_the_same_move_again_changes_nothing(held: Held) -> None:
    for _ in range(2):
        held.records.deployments.advance(held.lease, held.deployment, S.QUEUED)
    assert held.present().version == 1
    assert moves(held) == [("pending", "queued")]


def test_a_move_from_a_version_that_is_past_is_a_conflict(held: Held) -> None:
    seen = held.present()
    held.records.deployments.advance(held.lease, held.deployment, S.QUEUED)
    with pytest.raises(VersionConflict):
        held.records.deployments.advance(held.lease, held.deployment, S.FAILED, version=seen.version)
    assert held.present().status is S.QUEUED


def test_of_many_moves_from_one_version_one_succeeds(held: Held) -> None:
    held.bring_to(S.DEPLOYING)
    version = held.present().version
    targets = [S.TESTING, S.PAUSED, S.FAILED, S.CANCELLED] * 3

    def move(to: DeploymentStatus) -> bool:
        try:
            held.records.deployments.advance(held.lease, held.deployment, to, version=version)
        except (VersionConflict, IllegalTransition):
            return False
        return True

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(move, targets))
    assert held.present().version == version + 1
    assert len([move for move in moves(held) if move[0] == "deploying"]) == 1


def test_a_writer_without_the_lease_moves_nothing(held: Held) -> None:
    held.records.leases.take_over(held.environment, "another", LONG)
    with pytest.raises(LeaseLost):
        held.records.deployments.advance(held.lease, held.deployment, S.QUEUED)
    assert held.present().status is S.PENDING


def test_a_lease_covers_its_own_environment_only(records: Records, held: Held) -> None:
    records.environments.ensure_default("other-stage", project="shop", principal="ada")
    other = open_deployment(records, "other-stage")
    with pytest.raises(NotFound, match=held.environment):
        records.deployments.advance(held.lease, other.id, S.QUEUED)


def test_a_final_state_has_an_end_and_an_event_of_its_own(held: Held) -> None:
    done = held.bring_to(S.COMPLETED)
    assert done.finished_at is not None
    assert kinds(held)[-1] == "DeploymentCompleted"


def test_failing_and_the_way_back_are_one_transaction(held: Held) -> None:
    held.bring_to(S.DEPLOYING)
    undo: list[dict[str, object]] = [{"key": "undo:shift:web"}, {"key": "undo:start:web"}]
    failed = held.records.deployments.fail_and_plan_undo(
        held.lease, held.deployment, status=S.FAILED, reason=Reason.CHECK_FAILED, message="the page is blank", undo=undo
    )
    assert (failed.status, failed.reason, failed.message) == (S.ROLLING_BACK, Reason.CHECK_FAILED, "the page is blank")
    assert failed.finished_at is None
    assert held.records.deployments.undo_plan(held.deployment) == undo
    assert moves(held)[-2:] == [("deploying", "failed"), ("failed", "rolling_back")]


def test_nobody_sees_failed_but_not_rolling_back(held: Held) -> None:
    held.bring_to(S.DEPLOYING)
    seen: set[tuple[DeploymentStatus, bool]] = set()

    def look() -> None:
        while (found := held.present().status) is S.DEPLOYING:
            seen.add((found, False))
        seen.add((found, bool(held.records.deployments.undo_plan(held.deployment))))

    with ThreadPoolExecutor(2) as pool:
        looking = pool.submit(look)
        held.records.deployments.fail_and_plan_undo(
            held.lease, held.deployment, status=S.FAILED, reason=Reason.BROKEN, message="", undo=[{"key": "undo:a"}]
        )
        looking.result(60)
    assert seen - {(S.DEPLOYING, False)} == {(S.ROLLING_BACK, True)}


def test_failing_where_nothing_was_touched_just_ends(held: Held) -> None:
    failed = held.records.deployments.fail_and_plan_undo(
        held.lease, held.deployment, status=S.CANCELLED, reason=Reason.CANCELLED, message="", undo=[]
    )
    assert failed.status is S.CANCELLED
    assert failed.finished_at is not None


def test_one_on_its_way_back_keeps_the_plan_it_has(held: Held) -> None:
    held.bring_to(S.DEPLOYING)
    for key in ("undo:first", "undo:second"):
        held.records.deployments.fail_and_plan_undo(
            held.lease, held.deployment, status=S.FAILED, reason=Reason.BROKEN, message="", undo=[{"key": key}]
        )
    assert held.records.deployments.undo_plan(held.deployment) == [{"key": "undo:first"}]
    assert kinds(held).count("DeploymentFailed") == 1


def test_a_failed_way_back_can_be_taken_up_again(held: Held) -> None:
    held.bring_to(S.DEPLOYING)
    fail = held.records.deployments.fail_and_plan_undo
    fail(held.lease, held.deployment, status=S.FAILED, reason=Reason.BROKEN, message="", undo=[{"key": "undo:a"}])
    stuck = held.records.deployments.advance(held.lease, held.deployment, S.ROLLBACK_FAILED, reason=Reason.UNDO_FAILED)
    assert stuck.finished_at is not None
    again = held.records.deployments.advance(held.lease, held.deployment, S.ROLLING_BACK)
    assert again.finished_at is None


def test_one_that_waits_is_withdrawn_without_a_lease_and_one_under_way_is_not(held: Held) -> None:
    waiting = held.open()
    withdrawn = held.records.deployments.withdraw(waiting.id, S.CANCELLED, reason=Reason.CANCELLED, message="by ada")
    assert (withdrawn.status, withdrawn.message) == (S.CANCELLED, "by ada")
    held.bring_to(S.VALIDATING)
    kept = held.records.deployments.withdraw(held.deployment, S.CANCELLED, reason=Reason.CANCELLED)
    assert kept.status is S.VALIDATING


def test_documents_are_kept_and_replaced(held: Held) -> None:
    deployments = held.records.deployments
    assert deployments.report(held.deployment) is None
    deployments.save_plan(held.lease, held.deployment, {"steps": [{"key": "a"}, {"key": "b"}]}, locks={"web": {}})
    deployments.save_report(held.lease, held.deployment, {"draft": True})
    deployments.save_report(held.lease, held.deployment, {"services": 1, "at": datetime(2026, 1, 2, tzinfo=UTC)})
    assert deployments.plan(held.deployment) == {"steps": [{"key": "a"}, {"key": "b"}]}
    assert deployments.document(held.deployment, Document.LOCKS) == {"web": {}}
    assert deployments.report(held.deployment) == {"services": 1, "at": "2026-01-02T00:00:00+00:00"}
    assert held.present().progress.total == 2


def test_a_note_is_told_once_by_each_writer(held: Held) -> None:
    deployments = held.records.deployments
    for _ in range(2):
        deployments.note(held.lease, held.deployment, "TakenOver", "nobody drove it")
    later = held.records.leases.take_over(held.environment, "another", LONG)
    deployments.note(later, held.deployment, "TakenOver", "nobody drove it")
    deployments.note(later, held.deployment, "TakenOver", "nobody drove it", data={"time": 2})
    assert kinds(held).count("TakenOver") == 3


def test_the_same_plan_again_is_told_once(held: Held) -> None:
    for steps in ([{"key": "a"}], [{"key": "a"}], [{"key": "b"}]):
        held.records.deployments.save_plan(held.lease, held.deployment, {"steps": steps}, locks={"web": {}})
    assert kinds(held).count("DeploymentPlanned") == 2
    assert held.records.deployments.plan(held.deployment) == {"steps": [{"key": "b"}]}


def test_notes_and_given_events_are_told_in_order(held: Held) -> None:
    held.records.deployments.note(held.lease, held.deployment, "TrafficReturned", "all of it", service="web")
    checked = DeploymentEvent(
        kind=DeploymentEventKind.CHECK_JUDGED,
        deployment=held.deployment,
        environment=held.environment,
        correlation_id="c",
        source=Source.FLOW,
        at=datetime.now(UTC),
    )
    held.records.deployments.advance(held.lease, held.deployment, S.QUEUED, events=[checked])
    assert kinds(held) == ["DeploymentCreated", "TrafficReturned", "StatusChanged", "CheckJudged"]
