"""What Prefect's record of a run is corrected to, by ours: decided without either being there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun, State, StateType

from deployments.domain.entities import Deployment
from deployments.domain.status import DeploymentStatus, Reason
from flows.ends import decide_end, end_like_parent
from flows.presence import Presence

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
LONG = timedelta(minutes=2)
S, R, P, T = DeploymentStatus, Reason, Presence, StateType


def run(state: StateType = T.RUNNING, *, ago: timedelta = LONG, attempts: int = 1) -> FlowRun:
    entered: State[None] = State(type=state, timestamp=NOW - ago)
    return FlowRun(flow_id=uuid4(), state=entered, state_type=state, state_name=entered.name, run_count=attempts)


def record(status: DeploymentStatus, reason: Reason = R.NONE, *, ago: timedelta = timedelta(minutes=1)) -> Deployment:
    return Deployment(
        id="one",
        project="shop",
        environment="production",
        name="shop-one",
        status=status,
        reason=reason,
        created_by="ada",
        correlation_id="one",
        created_at=NOW - LONG,
        updated_at=NOW - ago,
        finished_at=NOW - ago if status.is_final else None,
    )


@pytest.mark.parametrize(
    ("status", "reason", "state"),
    [
        pytest.param(S.COMPLETED, R.NONE, T.COMPLETED, id="completed"),
        pytest.param(S.ROLLED_BACK, R.CANCELLED, T.CANCELLED, id="cancelled and taken back"),
        pytest.param(S.CANCELLED, R.CANCELLED, T.CANCELLED, id="cancelled before anything was touched"),
        pytest.param(S.ROLLED_BACK, R.CONTROLLER_LOST, T.CRASHED, id="lost and taken back"),
        pytest.param(S.ROLLBACK_FAILED, R.CANCELLED, T.CRASHED, id="a person has to help"),
        pytest.param(S.FAILED, R.REFUSED, T.CRASHED, id="failed"),
    ],
)
def test_a_run_ends_as_its_deployment_did(status: DeploymentStatus, reason: Reason, state: StateType) -> None:
    end = decide_end(run(), record(status, reason), P.LOST, finisher="the controller that took it over", now=NOW)
    assert end is not None
    assert end.state is state
    assert "process was lost" in end.message
    assert "shop-one" in end.message
    assert "by the controller that took it over" in end.message


@pytest.mark.parametrize(
    ("presence", "ago", "is_over"),
    [
        pytest.param(P.LOST, timedelta(seconds=2), False, id="a worker may just be reporting it"),
        pytest.param(P.LOST, timedelta(seconds=6), True, id="nobody reports it"),
        pytest.param(P.UNKNOWN, timedelta(seconds=6), False, id="may live on another machine"),
        pytest.param(P.UNKNOWN, timedelta(seconds=11), True, id="would have said so"),
        pytest.param(P.ALIVE, timedelta(minutes=5), False, id="lives and may be trying"),
        pytest.param(P.ALIVE, timedelta(minutes=16), True, id="lives and hangs"),
    ],
)
def test_a_process_gets_to_report_its_own_end_first(presence: Presence, ago: timedelta, is_over: bool) -> None:
    end = decide_end(run(ago=timedelta(hours=1)), record(S.COMPLETED, ago=ago), presence, now=NOW)
    assert (end is not None) is is_over


def test_a_run_whose_deployment_is_under_way_is_left_alone() -> None:
    assert decide_end(run(ago=timedelta(days=1)), record(S.DEPLOYING), P.LOST, now=NOW) is None


def test_a_repeated_run_is_not_judged_by_its_last_attempt() -> None:
    earlier = record(S.ROLLED_BACK, ago=timedelta(hours=1))
    assert decide_end(run(T.PENDING, attempts=1, ago=timedelta(0)), None, P.UNKNOWN, now=NOW) is None
    assert decide_end(run(ago=timedelta(minutes=1), attempts=2), earlier, P.UNKNOWN, now=NOW) is None


@pytest.mark.parametrize(
    ("state", "presence", "ago", "becomes"),
    [
        pytest.param(T.RUNNING, P.LOST, timedelta(seconds=6), T.CRASHED, id="killed before it opened one"),
        pytest.param(T.CANCELLING, P.LOST, timedelta(seconds=6), T.CANCELLED, id="cancelled and gone"),
        pytest.param(T.PENDING, P.UNKNOWN, timedelta(minutes=16), T.CRASHED, id="its worker was lost before it began"),
        pytest.param(T.RUNNING, P.UNKNOWN, timedelta(minutes=1), None, id="may be about to open one"),
        pytest.param(T.RUNNING, P.ALIVE, timedelta(hours=1), None, id="lives"),
    ],
)
def test_a_run_without_a_deployment_ends_when_its_process_is_gone(
    state: StateType, presence: Presence, ago: timedelta, becomes: StateType | None
) -> None:
    end = decide_end(run(state, ago=ago), None, presence, now=NOW)
    assert (end.state if end else None) is becomes


@pytest.mark.parametrize(
    ("parent", "status", "becomes"),
    [
        pytest.param(T.RUNNING, S.COMPLETED, None, id="its parent goes on"),
        pytest.param(T.CRASHED, S.ROLLED_BACK, T.CRASHED, id="crashed with it"),
        pytest.param(T.COMPLETED, S.COMPLETED, T.COMPLETED, id="completed without it"),
        pytest.param(T.CANCELLED, None, T.CANCELLED, id="cancelled with it"),
    ],
)
def test_a_phase_left_unfinished_ends_as_its_parent_did(
    parent: StateType, status: DeploymentStatus | None, becomes: StateType | None
) -> None:
    end = end_like_parent(run(), run(parent, ago=timedelta(seconds=6)), record(status) if status else None, now=NOW)
    assert (end.state if end else None) is becomes
