"""The demo's books: every request has its line, and blame needs proof."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.demo.accounting import NOT_TOLD, Line, add_up, read_books, write_line
from examples.demo.load import judge
from examples.demo.visits import MISTAKE, PROMPT, Visit, release_of
from examples.demo.wire import Answer, Request

BAD = MISTAKE.release
LISTING = Visit("catalogue", Request("GET", "/airports/airports"), "catalogue")
GOOD_PAGE = b"<html><footer>Data source: airports About: release 2.0.0</footer></html>"
MISTAKEN_PAGE = b"<h1>Error 500</h1><div>Cannot sort table by city_name</div>"


def line(
    number: int, *, release: str | None = "catalogue 2.0.0", problem: str | None = None, blamed: str | None = None
) -> Line:
    return Line(number, float(number), number + 0.5, "catalogue /", "kept", 200, release, problem, blamed)


def judged(status: int, body: bytes, visit: Visit = LISTING) -> Line:
    return judge(Answer(status, body, is_last=False), visit, number=1, sent=0.0, way="kept")


def test_requests_are_counted_by_the_release_that_answered() -> None:
    books = add_up([line(1), line(2, release="catalogue 1.0.0"), line(3), line(4, release=None)], sent=4)
    assert books.by_release == {"catalogue 1.0.0": 1, "catalogue 2.0.0": 2, NOT_TOLD: 1}
    assert books.missing == 0


def test_a_failure_is_explained_only_by_the_release_that_is_proven_to_have_caused_it() -> None:
    books = add_up(
        [line(1), line(2, problem="status 500", blamed=BAD), line(3, problem="status 503", release=None)], sent=3
    )
    assert [found.number for found in books.failed_because_of(BAD)] == [2]
    assert [found.number for found in books.unexplained(BAD)] == [3]


def test_a_request_without_a_line_is_missing() -> None:
    assert add_up([line(1), line(3)], sent=3).missing == 1


def test_the_last_request_to_a_release_counts_its_failures_too() -> None:
    books = add_up([line(1, release=BAD), line(5, release=None, problem="status 500", blamed=BAD), line(9)], sent=3)
    assert books.last_sent_to(BAD) == 5.0
    assert books.last_sent_to("catalogue 9.9.9") is None


def test_books_survive_a_last_line_that_was_cut_short(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    ledger.write_text(write_line(line(1)) + "\n" + write_line(line(2))[:20])
    books = read_books(ledger, sent=2)
    assert books.lines == (line(1),)
    assert books.missing == 1


def test_a_damaged_line_in_the_middle_is_not_passed_over(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    ledger.write_text("damaged\n" + write_line(line(1)) + "\n")
    with pytest.raises(ValueError, match="Expecting value"):
        read_books(ledger, sent=2)


@pytest.mark.parametrize(
    ("status", "body", "is_good", "blamed"),
    [
        pytest.param(200, GOOD_PAGE, True, None, id="a page of a release is good"),
        pytest.param(200, b"<html></html>", False, None, id="a page without its content is bad"),
        pytest.param(404, GOOD_PAGE, False, None, id="a page that is not found is bad"),
        pytest.param(500, MISTAKEN_PAGE, False, BAD, id="the mistake's own words blame its release"),
        pytest.param(502, b"<h1>Bad Gateway</h1>", False, None, id="a gateway's error blames nobody"),
        pytest.param(503, b"No server is available", False, None, id="a proxy's error blames nobody"),
        pytest.param(400, MISTAKEN_PAGE, False, None, id="the words alone, without a server's error, blame nobody"),
    ],
)
def test_an_answer_is_judged_by_its_status_and_content(
    status: int, body: bytes, is_good: bool, blamed: str | None
) -> None:
    found = judged(status, body)
    assert (found.problem is None) == is_good
    assert found.blamed == blamed


def test_a_failure_is_told_in_the_words_of_the_page() -> None:
    assert judged(400, b"<head><title>x</title></head><h1>Error</h1>\n <p>SQL Interrupted").problem == (
        "status 400: Error SQL Interrupted"
    )


def test_an_answer_through_the_gateway_tells_the_release_behind_it() -> None:
    visit = next(visit for visit in PROMPT if visit.route == "gateway" and visit.answered_by == "catalogue")
    assert release_of(visit, GOOD_PAGE) == "catalogue 2.0.0"


def test_the_sql_service_is_told_by_its_data() -> None:
    visit = next(visit for visit in PROMPT if visit.answered_by == "api")
    assert release_of(visit, b'[{"airports":7861}]') == "api 1.0.0"
    assert release_of(visit, b'[{"airports":7884}]') == "api 2.0.0"
    assert release_of(visit, b'[{"airports":1}]') is None
