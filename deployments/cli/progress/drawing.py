"""Draws the board with rich. Only imported when a person watches."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from deployments.cli.output import cell
from deployments.cli.progress.board import Board, ServiceRow

MOST_SERVICES = 20
MOST_UNDER_WAY = 4
BAR = 20
STYLES = {"completed": "green", "rolled_back": "yellow", "rolling_back": "yellow", "cancelled": "yellow"}
BAD = "red"


def draw(board: Board, elapsed: float) -> RenderableType:
    """Title, phases, services, and what is being done now."""
    style = STYLES.get(board.status, BAD if "fail" in board.status or board.status == "timed_out" else "bold")
    head = Text.assemble(
        (cell(board.title or "deployment"), "bold"),
        "  ",
        (board.status.replace("_", " "), style),
        f"  {clock(elapsed)}",
    )
    parts: list[RenderableType] = [head, phases(board), services(board)]
    parts += [Text(f"  ... {cell(words)}", style="dim") for words in list(board.under_way.values())[:MOST_UNDER_WAY]]
    if board.lost:
        parts.append(Text(f"  the meter lost {board.lost} requests", style="yellow"))
    return Group(*parts)


def phases(board: Board) -> Text:
    """The five phases on one line."""
    text = Text("  ")
    for index, (phase, state) in enumerate(board.phases()):
        style = "green" if state == "done" else "bold" if state else "dim"
        text.append(" > " if index else "", style="dim")
        text.append(f"{phase} {state}".strip(), style=style)
    return text


def services(board: Board) -> RenderableType:
    """A row per service: those that change first, and what did not fit as a number."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2), header_style="dim")
    for title in ("SERVICE", "VERSION", "TRAFFIC", "REQUESTS", "ERRORS", "NOW"):
        table.add_column(title, no_wrap=title != "NOW", overflow="ellipsis")
    rows = sorted(board.services.values(), key=lambda row: row.change == "unchanged")
    for row in rows[:MOST_SERVICES]:
        versions = f"{row.previous} -> {row.version}" if row.previous and row.previous != row.version else row.version
        table.add_row(
            Text(row.name),
            Text(cell(versions)),
            Text(traffic(row)),
            Text(counts(row, row.requests)),
            Text(counts(row, row.errors), style=BAD if any(row.errors.values()) else ""),
            Text(cell(row.doing)),
        )
    if len(rows) > MOST_SERVICES:
        table.add_row(Text(f"and {len(rows) - MOST_SERVICES} more", style="dim"))
    return table


def traffic(row: ServiceRow) -> str:
    """`[=====-----] 50% new`, or nothing for a service without a route."""
    if not row.split:
        return "-"
    share = row.split.get(row.revision, 0.0)
    full = round(share * BAR)
    return f"[{'=' * full}{'-' * (BAR - full)}] {share:>4.0%} new"


def counts(row: ServiceRow, numbers: Mapping[str, int]) -> str:
    """`old 12, new 3`, or one number when there is one release."""
    new = numbers.get(row.revision, 0)
    old = sum(numbers.values()) - new
    return f"{old} old, {new} new" if old else str(new)


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"
