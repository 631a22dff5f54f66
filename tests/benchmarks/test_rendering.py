"""Findings as a page: numbers with their units, promises with their verdicts, tables that stay tables."""

from __future__ import annotations

import pytest

from benchmarks.finding import Bar, Finding, failed
from benchmarks.rendering import percent, render_page, seconds, section, times, verdicts


def finding(*bars: Bar, **changes: object) -> Finding:
    fields: dict[str, object] = {
        "letter": "a",
        "title": "Deploying",
        "conditions": ("On a quiet machine.",),
        "columns": ("services", "took"),
        "rows": (("1", "5 s"), ("50", "57 s")),
        "bars": bars,
    }
    return Finding(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0000834, "83.4 µs"),
        (0.00332, "3.32 ms"),
        (0.431, "431 ms"),
        (0.9999, "1.00 s"),
        (1.934, "1.93 s"),
        (57.46, "57.5 s"),
        (255.0, "255 s"),
        (-0.25, "-250 ms"),
    ],
)
def test_seconds_read_well(value: float, expected: str) -> None:
    assert seconds(value) == expected


def test_ratios_and_shares_read_well() -> None:
    assert times(1.0) == "1x"
    assert times(4.4321) == "4.43x"
    assert percent(0.1234) == "12.3 %"


def test_a_promise_at_its_limit_is_held_and_one_above_is_missed() -> None:
    held, missed = Bar("dropped", 0, 0, "requests"), Bar("over the chain", 3.01, 3, "s")
    assert finding(held).is_good
    assert not finding(held, missed).is_good
    assert list(verdicts(finding(held, missed))) == [
        "held: dropped: 0 requests, at most 0 requests",
        "MISSED: over the chain: 3.01 s, at most 3 s",
    ]


def test_a_section_is_a_table_below_its_conditions() -> None:
    assert list(section(finding())) == [
        "## (a) Deploying",
        "",
        "On a quiet machine.",
        "",
        "| services | took |",
        "|---|---:|",
        "| 1 | 5 s |",
        "| 50 | 57 s |",
    ]


def test_what_could_not_be_measured_is_told_and_is_not_good() -> None:
    found = failed("b", "Cutover", RuntimeError("no\nroute"))
    assert not found.is_good
    assert "**Not measured.** RuntimeError: no route" in section(found)


def test_the_page_names_the_machine_the_command_and_every_promise() -> None:
    facts = {"command": "`python -m benchmarks --write`", "load average before": "0.10, 0.20, 0.30"}
    page = render_page([finding(Bar("a | b", 2, 3, "s"))], facts)
    assert "| command | `python -m benchmarks --write` |" in page
    assert "| load average before | 0.10, 0.20, 0.30 |" in page
    assert "| a | a \\| b | 2 s | 3 s | held |" in page
    assert page.endswith("|\n")
