"""Progress: what an event is told as, and what the board gathers."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from deployments.cli.interrupting import ASKING, Interrupts
from deployments.cli.output import Output
from deployments.cli.progress.board import Board
from deployments.cli.progress.drawing import draw
from deployments.cli.progress.lines import words_of
from deployments.cli.progress.showing import Live
from deployments.cli.progress.words import step_words
from deployments.cli.words import age, duration
from deployments.domain.entities import Deployment
from deployments.domain.events import DeploymentEvent, DeploymentEventKind, Source
from deployments.domain.facts import Facts, Principal, RunningRelease
from deployments.domain.planning import plan_deployment
from deployments.domain.ports import BackendState, Endpoint, MachineFacts, MeterReading, MeterReport, SourceLock
from deployments.domain.spec.checks import When
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.status import DeploymentStatus
from deployments.domain.undo import plan_undo
from tests.cli.specifications import service, specification

K = DeploymentEventKind
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
PLAN: Mapping[str, object] = {
    "changes": [
        {"service": "web", "kind": "update", "version": "2.0", "previous_version": "1.0", "revision": "new"},
        {"service": "web-api", "kind": "unchanged", "version": "1.0", "previous_version": "1.0", "revision": "same"},
    ],
    "steps": [
        {"key": "build:web", "phase": "preparation", "service": "web"},
        {"key": "start:web-abc-1", "phase": "deployment", "service": "web"},
        {"key": "shift:web:1", "phase": "deployment", "service": "web"},
    ],
}


def happened(kind: DeploymentEventKind, step: str | None = None, message: str = "", **data: object) -> DeploymentEvent:
    """An event of one deployment."""
    return DeploymentEvent(kind, "d", "staging", "d", Source.DRIVER, NOW, step=step, message=message, data=data)


def record(status: DeploymentStatus = DeploymentStatus.DEPLOYING) -> Deployment:
    """The deployment itself."""
    return Deployment(
        id="d",
        project="shop",
        environment="staging",
        name="shop-1",
        status=status,
        created_by="ann",
        correlation_id="d",
        created_at=NOW,
        updated_at=NOW,
        services=(("web", "2.0"), ("web-api", "1.0")),
    )


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (happened(K.STEP_INTENDED, "start:web-1"), None),
        (happened(K.STEP_INTENDED, "build:web"), "building web ..."),
        (happened(K.STEP_DONE, "start:web-1", receipt={"port": 8000}), "started web-1 on port 8000"),
        (
            happened(K.STEP_DONE, "shift:web:2", receipt={"weights": {"old": 64, "new": 192}}),
            "moved traffic to web (step 2) (new 75%, old 25%)",
        ),
        (happened(K.STEP_UNDONE, "undo:instance:web-1"), "removed web-1"),
        (happened(K.STEP_FAILED, "build:web", "no network"), "attempt failed: building web: no network"),
        (happened(K.STATUS_CHANGED, to="rolling_back"), "== rolling back"),
        (happened(K.FAILED, None, "two\nlines", to="failed"), "== failed: two lines"),
        (happened(K.STEP_DONE, "novel:thing"), "done novel:thing"),
        (happened(K.CANCEL_ASKED, None, "ann asked to cancel."), "ann asked to cancel."),
        (happened(K.VALIDATED, is_valid=True), None),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_an_event_is_told_in_words_people_use(event: DeploymentEvent, told: str | None) -> None:
    assert words_of(event) == told


def test_every_step_of_a_plan_and_of_its_way_back_has_words() -> None:
    asked = specification(
        service(checks=[{"name": f"c{n}", "when": when, "probe": {"kind": "tcp"}} for n, when in enumerate(When)]),
        service(name="api", dependencies=["web"], deployment_strategy={"kind": "recreate"}),
        resource_requirements=[{"name": "scratch", "kind": "directory", "temporary": True}],
    )
    running = {name: (Endpoint(f"{name}-old-1", 1, "old"),) for name in ("web", "api")}
    facts = Facts(
        now=NOW,
        principal=Principal("ann"),
        machine=MachineFacts(2, 1000, 1000, 1000, can_limit_memory=False, can_limit_cpu=False),
        locks={name: SourceLock("path", "digest") for name in running},
        stable={name: RunningRelease(name, "old", "old", "0.9", "d", ends) for name, ends in running.items()},
        routes={"web": 8001, "api": 8002},
    )
    plan = plan_deployment(DeploymentSpecification.model_validate(asked), facts, deployment="preview")
    keys = [step.key for step in plan.steps]
    keys += [step.key for step in plan_undo(plan, dict.fromkeys(keys))]

    assert {"hold:api", "undo:restart:api", "undo:traffic:web", "warm", "verify:api"} <= set(keys)
    for key in keys:
        assert not step_words(key, is_done=True).startswith("done "), key


def board() -> Board:
    """Half way through a deployment."""
    found = Board()
    found.see_record(record())
    found.see_plan(PLAN)
    found.see_events([happened(K.STEP_INTENDED, "build:web"), happened(K.STEP_DONE, "build:web")])
    found.see_events([happened(K.STEP_INTENDED, "start:web-abc-1")])
    return found


def test_the_board_counts_the_steps_of_each_phase() -> None:
    assert board().phases() == [
        ("validation", "done"),
        ("preparation", "done"),
        ("deployment", "0/2"),
        ("testing", ""),
        ("completion", ""),
    ]


def test_on_the_way_back_only_undo_steps_are_under_way_and_the_phases_stay_as_they_were() -> None:
    found = board()
    found.see_record(record(DeploymentStatus.ROLLING_BACK))
    found.see_events([happened(K.STEP_UNDO_INTENDED, "undo:traffic:web")])

    assert found.under_way == {"undo:traffic:web": "returning traffic of web"}
    assert found.phases()[:3] == [("validation", "done"), ("preparation", "done"), ("deployment", "0/2")]


def test_the_board_says_what_each_service_does_now() -> None:
    rows = board().services

    assert rows["web"].doing == "starting web-abc-1"
    assert rows["web-api"].doing == "unchanged"
    assert board().under_way == {"start:web-abc-1": "starting web-abc-1"}


def test_an_undo_step_belongs_to_the_service_whose_instance_it_removes() -> None:
    found = board()
    found.see_events([happened(K.STEP_UNDONE, "undo:instance:web-api-xyz-1")])

    assert found.services["web-api"].doing == "removed web-api-xyz-1"


def test_the_split_is_what_the_proxy_reports_and_counts_are_what_the_meter_counted() -> None:
    found = board()
    backends = [
        BackendState(Endpoint("old-1", 1, "old"), weight=64, sessions=0, is_up=True),
        BackendState(Endpoint("new-1", 2, "new"), weight=192, sessions=0, is_up=True),
    ]
    found.see_traffic("web", backends)
    found.see_counts(MeterReport((MeterReading("web", "new", 10, 2, {200: 8, 500: 2}, {}),), lost=3, is_running=True))

    shown = drawn(found)

    assert "75% new" in shown
    assert "1.0 -> 2.0" in shown
    assert "the meter lost 3 requests" in shown
    assert found.services["web"].errors == {"new": 2}


def drawn(found: Board) -> str:
    """The board as text."""
    console = Console(file=io.StringIO(), width=120, no_color=True)
    console.print(draw(found, 65.0))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_text_from_outside_cannot_drive_the_board() -> None:
    found = board()
    found.services["web"].doing = "\x1b[2J[red]not markup[/red]"

    shown = drawn(found)

    assert "\x1b" not in shown
    assert "[red]not markup[/red]" in shown


def test_a_live_view_keeps_states_and_ends_with_the_last_picture() -> None:
    results = io.StringIO()
    view = Live(Output(results, io.StringIO()))
    view.show(board(), [happened(K.STATUS_CHANGED, to="deploying"), happened(K.STEP_DONE, "build:web")])
    view.say("Cancelling")
    view.close()

    assert "== deploying" in results.getvalue()
    assert "built web" not in results.getvalue()
    assert "Cancelling" in results.getvalue()
    assert "shop-1 to staging" in results.getvalue()


def test_a_terminal_that_went_away_ends_nothing() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    view = Live(Output(Gone(), io.StringIO()))

    view.show(board(), [happened(K.STATUS_CHANGED, to="deploying")])
    view.say("Cancelling")
    view.close()


def test_signals_are_counted_and_end_nothing() -> None:
    before = {number: signal.getsignal(number) for number in ASKING}

    with Interrupts() as interrupts:
        for number in ASKING:
            os.kill(os.getpid(), number)

    assert interrupts.count == len(ASKING)
    assert {number: signal.getsignal(number) for number in ASKING} == before


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (timedelta(seconds=1.25), "1.2s"),
        (timedelta(seconds=42), "42s"),
        (timedelta(seconds=65), "1m05s"),
        (timedelta(hours=3, minutes=7), "3h07m"),
        (timedelta(days=2, hours=5), "2d05h"),
        (None, "-"),
    ],
    ids=str,
)
def test_durations_are_told_in_their_two_largest_units(value: timedelta | None, told: str) -> None:
    assert duration(value) == told


def test_the_future_is_no_time_ago() -> None:
    assert age(datetime.now(UTC) + timedelta(hours=1)) == "0.0s ago"
