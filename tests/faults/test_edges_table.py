"""Prefect's edges as rows: read from what pytest wrote of them, shown as a table."""

from __future__ import annotations

from tests.faults import edges
from tests.faults.edges import Edge, parse
from tests.faults.table import edge_complaints, edge_table
from tests.flows.edge_kinds import KINDS, LEFT_OUT

TESTS = ["test_prefects_server_gone_and_back", "test_sigkill_of_the_warm_runner_leaves_the_run_going"]
WRITTEN = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="5">
  <testcase classname="tests.flows.test_edges" name="test_prefects_server_gone_and_back[blue_green]" time="30.5"/>
  <testcase classname="tests.flows.test_edges" name="test_prefects_server_gone_and_back[rolling]" time="2.5">
    <failure message="AssertionError: never: its runs are final&#10;more of it">a long story</failure>
  </testcase>
  <testcase classname="tests.flows.test_edges" name="test_prefects_server_gone_and_back[recreate]" time="0.0">
    <skipped type="pytest.skip" message="it makes no sense">where</skipped>
  </testcase>
  <testcase classname="tests.flows.test_edges" name="test_prefects_server_gone_and_back[first]" time="1.0"/>
  <testcase classname="tests.flows.test_edges" name="test_prefects_server_gone_and_back[first]" time="0.5">
    <error message="failed on teardown">a long story</error>
  </testcase>
</testsuite></testsuites>"""


def test_an_edge_is_a_row_with_an_end_for_each_kind() -> None:
    gone, killed = parse(WRITTEN, TESTS)
    assert gone.words == "Prefect's server gone and back"
    assert [gone.end(kind) for kind in edges.KINDS] == [
        "ok",
        "wrong: AssertionError: never: its runs are final",
        "left out: it makes no sense",
        "not run",
        "wrong: failed on teardown",
    ]
    assert killed.words == "SIGKILL of the warm runner leaves the run going"
    assert {killed.end(kind) for kind in edges.KINDS} == {"not run"}


def test_a_row_is_good_when_each_kind_is_right_or_left_out_for_a_reason() -> None:
    right = dict.fromkeys(edges.KINDS, "ok")
    assert Edge("one", right).is_good
    assert Edge("one", {**right, "first": "left out: it makes no sense"}).is_good
    assert not Edge("one", {**right, "first": "wrong: it hangs"}).is_good
    assert not Edge("one", {"first": "ok"}).is_good


def test_the_table_has_edges_down_and_kinds_across() -> None:
    assert edge_table(parse(WRITTEN, TESTS)) == [
        "## Prefect's edges",
        "",
        "| edge | blue-green | rolling | recreate | rollback | first |",
        "|---|---|---|---|---|---|",
        "| Prefect's server gone and back | ok | **wrong** | *not run* | *not run* | **wrong** |",
        "| SIGKILL of the warm runner leaves the run going | " + " | ".join(["*not run*"] * 5) + " |",
        "",
        "- Prefect's server gone and back, recreate: left out: it makes no sense",
    ]


def test_what_is_wrong_or_was_not_run_is_told_apart_from_what_is_left_out() -> None:
    gone = parse(WRITTEN, TESTS)[:1]
    assert edge_complaints(gone) == [
        "Prefect's server gone and back | rolling: wrong: AssertionError: never: its runs are final",
        "Prefect's server gone and back | rollback: not run",
        "Prefect's server gone and back | first: wrong: failed on teardown",
    ]


def test_the_rows_are_the_tests_that_there_are() -> None:
    assert tuple(KINDS) == edges.KINDS
    assert len(edges.names()) >= 10
    assert {test for test, _ in LEFT_OUT} <= set(edges.names())
