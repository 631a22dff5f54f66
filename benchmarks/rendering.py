"""Findings as Markdown: for the terminal one by one, for docs/benchmarks.md all together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap

from benchmarks.finding import Bar, Finding

WIDTH = 120
HEAD = """# Benchmarks

Written by `python -m benchmarks --write`; never edited by hand. All numbers of this page come from one run. They are
medians where several were taken, and they are meant as ratios: client, proxy, services and control plane share the
machine below, and another machine gives other seconds.
"""


def render_page(findings: Sequence[Finding], facts: Mapping[str, str]) -> str:
    """The whole page."""
    lines = [HEAD, "| | |", "|---|---|"]
    lines += [f"| {cell(name)} | {cell(value)} |" for name, value in facts.items()]
    lines += ["", *promises(findings)]
    for finding in findings:
        lines += ["", *section(finding)]
    return "\n".join(lines) + "\n"


def promises(findings: Sequence[Finding]) -> Iterator[str]:
    """One line per promise."""
    yield from ("## Promises", "", "| | promise | measured | at most | |", "|---|---|---:|---:|---|")
    for finding in findings:
        for bar in finding.bars:
            yield f"| {finding.letter} | {cell(bar.promise)} | {number(bar.measured, bar.unit)} | " + (
                f"{number(bar.limit, bar.unit)} | {verdict(bar)} |"
            )


def section(finding: Finding) -> Iterator[str]:
    """One finding: its table below how it was measured."""
    yield f"## ({finding.letter}) {finding.title}"
    yield ""
    for condition in finding.conditions:
        yield from wrap(condition, WIDTH)
    if not finding.rows:
        return
    yield ""
    yield "| " + " | ".join(map(cell, finding.columns)) + " |"
    yield "|---|" + "---:|" * (len(finding.columns) - 1)
    for row in finding.rows:
        yield "| " + " | ".join(map(cell, row)) + " |"


def verdicts(finding: Finding) -> Iterator[str]:
    """The promises of one finding, for the terminal."""
    for bar in finding.bars:
        measured, limit = number(bar.measured, bar.unit), number(bar.limit, bar.unit)
        yield f"{verdict(bar)}: {bar.promise}: {measured}, at most {limit}"


def verdict(bar: Bar) -> str:
    """In one word."""
    return "held" if bar.is_held else "MISSED"


def number(value: float, unit: str) -> str:
    """`1.93 s`, `12 %`, `0 requests`: as many digits as mean something."""
    digits = 0 if value == int(value) or abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f} {unit}".strip()


def seconds(value: float) -> str:
    """In the unit that reads best."""
    if abs(value) >= 0.9995:
        return number(value, "s")
    return number(value * 1000, "ms") if abs(value) >= 0.0009995 else number(value * 1_000_000, "µs")


def times(value: float) -> str:
    """A ratio."""
    return f"{number(value, '')}x"


def percent(share: float) -> str:
    """A share as a percentage."""
    return number(100 * share, "%")


def cell(text: str) -> str:
    """Safe within a table."""
    return " ".join(text.replace("|", "\\|").split())
