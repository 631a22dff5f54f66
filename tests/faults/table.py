"""The table: every point at which a controller was killed, and how that ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.faults.edges import KINDS as EDGE_KINDS
from tests.faults.edges import LEFT_OUT, NOT_RUN, Edge
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


def edge_table(edges: Sequence[Edge]) -> list[str]:
    """Prefect's edges down, kinds of deployment across; then why some are left out."""
    kinds = " | ".join(kind.replace("_", "-") for kind in EDGE_KINDS)
    lines = ["## Prefect's edges", "", f"| edge | {kinds} |", "|---|" + "---|" * len(EDGE_KINDS)]
    lines += [f"| {edge.words} | {' | '.join(edge_mark(edge.end(kind)) for kind in EDGE_KINDS)} |" for edge in edges]
    left_out = [
        f"- {edge.words}, {kind}: {edge.end(kind)}"
        for edge in edges
        for kind in EDGE_KINDS
        if edge.end(kind).startswith(LEFT_OUT)
    ]
    return [*lines, "", *left_out] if left_out else lines


def edge_mark(end: str) -> str:
    """How one edge ended for one kind."""
    if end == NOT_RUN or end.startswith(LEFT_OUT):
        return MARKS["not run"]
    return end if end == "ok" else "**wrong**"


def edge_complaints(edges: Iterable[Edge]) -> list[str]:
    """What was wrong with an edge, and what was not run without a reason."""
    return [
        f"{edge.words} | {kind}: {edge.end(kind)}"
        for edge in edges
        for kind in EDGE_KINDS
        if edge.end(kind) != "ok" and not edge.end(kind).startswith(LEFT_OUT)
    ]
