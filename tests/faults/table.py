"""The table: every point at which a controller was killed, and how that ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.faults.killing import POINTS
from tests.faults.kinds import KINDS, Kind
from tests.faults.rows import Result

MARKS = {"completed": "out", "back": "back", "not run": "*not run*"}


def summary(results: Sequence[Result]) -> list[str]:
    """A line for each kind."""
    lines = [
        "| deployment | points | went out | came back | wrong | not run | requests | dropped | leftovers |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for kind in KINDS:
        own = [result for result in results if result.row.kind == kind and result.row.boundary]
        if own:
            lines.append(line(str(kind).replace("_", "-"), own))
    killed = [result for result in results if result.row.boundary]
    return [*lines, line("**all**", killed)]


def line(name: str, own: Sequence[Result]) -> str:
    """The counts of some rows."""
    ran = [result for result in own if result.end != "not run" or result.wrong]
    counts = (
        len(own),
        sum(result.end == "completed" and not result.wrong for result in ran),
        sum(result.end == "back" and not result.wrong for result in ran),
        sum(bool(result.wrong) for result in ran),
        len(own) - len(ran),
        sum(result.requests for result in ran),
        sum(result.dropped for result in ran),
        sum(result.leftovers for result in ran),
    )
    return f"| {name} | " + " | ".join(f"{count:,}" for count in counts) + " |"


def details(results: Iterable[Result], kind: Kind) -> list[str]:
    """Steps down, points across; then what is not a step."""
    own = {result.row.boundary: result for result in results if result.row.kind == kind and result.row.boundary}
    steps, rest = [], []
    for boundary in own:
        point = next((point for point in POINTS if boundary.startswith(f"{point} of ")), None)
        if point is None:
            rest.append(boundary)
        elif (step := boundary.removeprefix(f"{point} of ")) not in steps:
            steps.append(step)
    if not own:
        return []
    lines = [f"| step | {' | '.join(POINTS)} |", "|---|---|---|---|---|"]
    lines += [f"| `{step}` | {' | '.join(mark(own.get(f'{point} of {step}')) for point in POINTS)} |" for step in steps]
    others = ", ".join(f"{boundary}: {mark(own[boundary])}" for boundary in rest)
    return [f"### {str(kind).replace('_', '-')}", "", *lines, "", f"Besides: {others}.", ""]


def mark(result: Result | None) -> str:
    """How one row ended."""
    if result is None:
        return "="
    return "**wrong**" if result.wrong else MARKS.get(result.end, result.end)


def complaints(results: Iterable[Result]) -> list[str]:
    """What was wrong, a line for each row, with the command that runs it again."""
    return [
        f"{result.row.kind} | {result.row.boundary or 'nobody killed'}: {'; '.join(result.wrong)}"
        for result in results
        if result.wrong
    ]
