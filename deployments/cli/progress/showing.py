"""Four ways of showing progress, one interface: a board on a terminal, lines, JSON lines, or nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TextIO, cast

from deployments.cli.output import Output
from deployments.cli.progress.lines import line_of

if TYPE_CHECKING:
    from deployments.cli.progress.board import Board
    from deployments.domain.events import Event


class View(Protocol):
    """Shows what happens. Nothing it does may raise: a deployment goes on whoever watches."""

    wants_traffic: bool
    """Whether the proxy and the meter should be asked."""

    def say(self, text: str) -> None:
        """Something that is not an event."""

    def show(self, board: Board, events: Sequence[Event]) -> None:
        """What is new, and the whole picture."""

    def close(self) -> None:
        """Nothing more comes."""


class Lines:
    """A line per event: to standard output, or to standard error beside a JSON document."""

    wants_traffic = False

    def __init__(self, output: Output, *, is_beside_json: bool = False) -> None:
        self._write = output.complain if is_beside_json else output.line

    def say(self, text: str) -> None:
        """A line."""
        self._write(text)

    def show(self, board: Board, events: Sequence[Event]) -> None:
        """A line for each event worth one."""
        for event in events:
            line = line_of(event)
            if line is not None:
                self._write(line)

    def close(self) -> None:
        """Every line is out already."""


class JsonLines:
    """Each event as one JSON document on one line; words go to standard error."""

    wants_traffic = False

    def __init__(self, output: Output) -> None:
        self._output = output

    def say(self, text: str) -> None:
        """Not an event."""
        self._output.complain(text)

    def show(self, board: Board, events: Sequence[Event]) -> None:
        """All of them."""
        for event in events:
            self._output.json_line(event)

    def close(self) -> None:
        """Every line is out already."""


class Live:
    """A board that is drawn anew in place, lines above it."""

    wants_traffic = True

    def __init__(self, output: Output) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        self._began = time.monotonic()
        stream = cast(TextIO, output)  # the part of a stream that rich uses, which never raises
        self._console = Console(file=stream, no_color=not output.has_colours, highlight=False)
        self._live = RichLive(console=self._console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        self._live.start()

    def say(self, text: str) -> None:
        """Above the board."""
        self._console.print(text, markup=False, soft_wrap=True)

    def show(self, board: Board, events: Sequence[Event]) -> None:
        """States and failures stay above as lines; everything else is on the board."""
        from deployments.cli.progress.drawing import draw

        for event in events:
            line = line_of(event)
            if line is not None and is_lasting(event):
                self.say(line)
        self._live.update(draw(board, time.monotonic() - self._began), refresh=True)

    def close(self) -> None:
        """Leave the last picture where it is."""
        self._live.stop()


def is_lasting(event: Event) -> bool:
    """Whether an event stays in sight after the board has moved on."""
    return not event.kind.value.startswith(("StepIntended", "StepDone", "StepUndoIntended", "StepUndone"))
