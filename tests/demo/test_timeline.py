"""The demo's timeline: releases in place of instances, and when it was decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from examples.demo.accounting import Line, add_up
from examples.demo.fairlead import TAKEN_BACK
from examples.demo.story import Outcome
from examples.demo.timeline import Told, moments
from examples.demo.visits import MISTAKE

BAD = MISTAKE.release


def event(second: int, kind: str, step: str | None = None, **data: Any) -> Mapping[str, Any]:
    message = data.pop("message", "")
    return {"at": f"2026-11-26T10:00:{second:02}Z", "kind": kind, "step": step, "message": message, "data": data}


def told(name: str, suffix: str, version: str, events: Sequence[Mapping[str, Any]]) -> Told:
    shown = {"deployment": {"name": name, "id": f"20261126-100000-{suffix}", "services": {"catalogue": version}}}
    return Told.of({**shown, "events": events})


UPGRADE = told(
    "airports-2",
    "bbbbbbbb",
    "2.0.0",
    [
        event(1, "DeploymentCreated"),
        event(2, "StepDone", "shift:catalogue:1", receipt={"weights": {"catalogue-bbbbbbbb-1": 256}}),
    ],
)
TAKEN = told(
    "airports-3",
    "cccccccc",
    "2.1.0",
    [
        event(5, "DeploymentFailed", message="catalogue: too many errors."),
        event(5, "StatusChanged", to="rolling_back"),
        event(
            6,
            "StepUndone",
            "undo:traffic:catalogue",
            receipt={"weights": {"catalogue-bbbbbbbb-1": 256, "catalogue-cccccccc-1": 0}},
        ),
        event(8, "DeploymentRolledBack"),
    ],
)
TEN = 1795687200.0
"""10:00:00 of that day, in seconds since 1970."""


def line(number: int, second: float, release: str, *, blamed: str | None = None, problem: str | None = None) -> Line:
    return Line(number, TEN + second, TEN + second + 0.1, "catalogue /", "kept", 200, release, problem, blamed)


def outcome(*lines: Line, sent: int | None = None, code: int = TAKEN_BACK) -> Outcome:
    return Outcome(add_up(lines, len(lines) if sent is None else sent), (UPGRADE, TAKEN), code)


FAILED_BY_THE_BAD = line(1, 4.0, BAD, blamed=BAD, problem="status 500")


def test_the_timeline_names_releases_in_the_order_of_events() -> None:
    assert [(moment.at - TEN, moment.deployment, moment.words) for moment in moments([UPGRADE, TAKEN])] == [
        (1.0, "airports-2", "deployment begins"),
        (2.0, "airports-2", "traffic moved: catalogue 2.0.0 100%"),
        (5.0, "airports-3", "found bad: catalogue: too many errors."),
        (6.0, "airports-3", "traffic returned: catalogue 2.0.0 100%"),
        (8.0, "airports-3", "rolled back"),
    ]


def test_a_rollback_takes_from_the_decision_to_the_last_request_sent_to_the_bad_release() -> None:
    found = outcome(FAILED_BY_THE_BAD, line(2, 5.25, BAD), line(3, 7.0, "catalogue 2.0.0"))
    assert found.rollback_seconds == 0.25
    assert found.return_seconds == 1.0
    assert found.complaints == []


def test_no_request_to_the_bad_release_after_the_decision_is_a_rollback_of_no_time() -> None:
    assert outcome(FAILED_BY_THE_BAD).rollback_seconds == 0.0


def test_one_failure_that_the_bad_release_did_not_cause_is_a_complaint() -> None:
    found = outcome(FAILED_BY_THE_BAD, line(2, 6.0, "catalogue 2.0.0", problem="status 503"))
    assert found.complaints == [f"1 requests failed that {BAD} did not cause."]


def test_a_missing_request_is_a_complaint() -> None:
    assert "nobody knows" in " ".join(outcome(FAILED_BY_THE_BAD, sent=2).complaints)


def test_a_bad_release_that_stayed_is_a_complaint() -> None:
    assert "did not" in " ".join(outcome(FAILED_BY_THE_BAD, code=0).complaints)


def test_a_mistake_that_nobody_noticed_is_a_complaint() -> None:
    assert "was to fail under load" in " ".join(outcome(line(1, 4.0, BAD)).complaints)
