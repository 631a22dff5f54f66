"""A reduced matrix: the points at which a way out or back turns. `make faults` runs all of them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.faults.kinds import Kind
from tests.faults.lane import Done, Lane
from tests.faults.matrix import TURN, Queue, lanes, moments
from tests.faults.rows import Ground, Result, Row
from tests.faults.table import complaints, details, summary

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LANES = 4
BOUNDARIES: dict[Kind, tuple[tuple[str, str], ...]] = {
    Kind("blue_green", "first"): (("after effect of routes", "back"), ("after the releases were stable", "completed")),
    Kind("blue_green", "upgrade"): (
        ("after the lease was taken", "back"),
        ("after intent of start:api-1", "back"),
        ("after effect of shift:web:1", "back"),
        ("before the releases were stable", "back"),
        ("after the releases were stable", "completed"),
        ("after intent of promote", "completed"),
    ),
    Kind("rolling", "failing"): (
        ("after effect of handle", "back"),
        ("before the failure and its undo were kept", "back"),
        ("after the failure and its undo were kept", "back"),
        ("after effect of undo:traffic:web", "back"),
        ("after the move to rolled_back", "back"),
    ),
    Kind("recreate", "upgrade"): (("after effect of hold:api", "back"), ("after effect of stop:web-1", "back")),
    Kind("recreate", "undo"): (("after intent of undo:restart:api", "back"),),
    Kind("rolling", "rollback"): (("after intent of shift:api:1", "back"), ("after receipt of stable", "completed")),
    Kind("blue_green", "resumed"): (
        ("after intent of shift:api:1", "completed"),
        ("after effect of bake", "completed"),
    ),
}
ROWS = {Row(kind, boundary): end for kind, found in BOUNDARIES.items() for boundary, end in found}


@pytest.fixture(scope="module")
def results() -> dict[Row, Result]:
    """Every row, run side by side."""
    with lanes(LANES) as found:
        return {one.row: one for one in found.run(list(ROWS), lambda _: None, until=time.monotonic() + 500)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.kind} {row.boundary}")
def test_killed_there_a_deployment_ends_complete_or_back_and_nothing_is_left(
    results: dict[Row, Result], row: Row
) -> None:
    result = results[row]

    assert not result.wrong, "\n".join(result.wrong)
    assert result.end == ROWS[row]
    assert (result.requests > 0) != row.kind.is_first


def test_rows_that_were_not_run_are_told_as_not_run() -> None:
    with lanes(1) as found:
        left = found.run([Row(Kind("rolling", "undo"), "after intent of undo:handle")], lambda _: None, until=0)

    assert [result.end for result in left] == ["not run"]
    assert "| rolling undo | 1 | 0 | 0 | 0 | 1 | 0 | 0 | 0 |" in summary(left)
    assert "*not run*" in "\n".join(details(left, Kind("rolling", "undo")))


def test_a_row_that_ends_otherwise_is_told_with_what_was_wrong() -> None:
    row = Row(Kind("rolling", "undo"), "after intent of undo:handle")
    wrong = [Result(row, end="completed", wrong=["web is answered by [1.0, 2.0] and not by 2.0"])]

    assert complaints(wrong) == [
        "rolling undo | after intent of undo:handle: web is answered by [1.0, 2.0] and not by 2.0"
    ]
    assert "**wrong**" in "\n".join(details(wrong, row.kind))


def test_the_moment_between_a_receipt_and_the_next_intent_is_one_row() -> None:
    passed = ["before intent of a", "after receipt of a", "before intent of b", "after receipt of b", "before the move"]

    assert moments(passed) == ["before intent of a", "after receipt of a", "after receipt of b", "before the move"]


def test_lanes_stay_with_a_kind_for_a_turn_and_every_kind_has_its_turn() -> None:
    kinds = [Kind("rolling", occasion) for occasion in ("first", "upgrade", "undo")]
    rows = [Row(kind, f"boundary {number}") for kind in kinds for number in range(TURN + 1)]

    queue = Queue(rows)
    taken = [queue.take("a" if number % 2 else "b") for number in range(len(rows))]

    assert sorted(map(str, taken)) == sorted(map(str, rows))
    assert [row.kind for row in taken[:4]] == [kinds[0], kinds[1], kinds[0], kinds[1]]
    assert {row.kind for row in taken[: 2 * TURN + 2]} == set(kinds)
    assert not queue


@pytest.mark.parametrize(
    ("row", "done", "settled", "told"),
    [
        (Row(Kind("rolling", "upgrade"), "after intent of a"), Done(exit_code=0), Done(), "after intent of a was not"),
        (Row(Kind("rolling", "undo")), Done(exit_code=0), Done(), "nobody was killed"),
        (Row(Kind("rolling", "undo"), "after intent of a"), Done(exit_code=-9), Done(exit_code=0), "was not passed"),
        (Row(Kind("rolling", "upgrade")), Done(exit_code=0), Done(), "no boundary was passed"),
    ],
    ids=["the controller lives", "there is nothing to undo", "the taker lives", "nothing was seen"],
)
def test_a_row_in_which_nobody_died_or_nothing_was_seen_is_wrong(
    tmp_path: Path, row: Row, done: Done, settled: Done, told: str
) -> None:
    result = Result(row)

    Ground(Lane(tmp_path, "postgresql+psycopg://127.0.0.1/none")).judge_processes(row, done, settled, result)

    assert told in "\n".join(result.wrong)
