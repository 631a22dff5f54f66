"""Where words go: standard output for results, standard error for what went wrong.

Nothing said here can end a command. A character that the terminal's encoding lacks is written as an escape; text from
outside cannot drive the terminal; a reader that went away (`| head`) is no error, and what is under way goes on.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from io import TextIOWrapper
from typing import TextIO

from deployments.domain.sanitising import Use, sanitise

COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}


class Output:
    """The two streams of one command."""

    def __init__(self, results: TextIO, complaints: TextIO, *, has_colours: bool = False) -> None:
        """`has_colours`: results go to a terminal that shows them."""
        self._results, self._complaints = results, complaints
        self.has_colours = has_colours
        self.has_reader = True
        """False once whoever read the results is gone."""

    @classmethod
    def of_process(cls) -> Output:
        """This process's streams, made safe to write anything to."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace", line_buffering=True)
        plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        return cls(sys.stdout, sys.stderr, has_colours=not plain and is_terminal(sys.stdout))

    @property
    def is_terminal(self) -> bool:
        """Whether a person watches the results as they come."""
        return is_terminal(self._results)

    def line(self, text: str = "") -> None:
        """One line of the result; styles made by `styled` stay, everything else that drives a terminal goes."""
        self._write(self._results, text)

    def raw(self, text: str) -> None:
        """A line of a log: as it is when piped, harmless on a terminal."""
        self._write(self._results, sanitise(text, Use.CONTENT)[0] if self.is_terminal else text)

    def complain(self, text: str) -> None:
        """One line about what is wrong or under way."""
        self._write(self._complaints, text)

    def json(self, value: object) -> None:
        """One JSON document, in ASCII."""
        self.line(json.dumps(to_plain(value), indent=2))

    def json_line(self, value: object) -> None:
        """One JSON document on one line, in ASCII."""
        self.line(json.dumps(to_plain(value)))

    def styled(self, text: str, style: str) -> str:
        """The text in a colour where colours are shown."""
        return f"\x1b[{COLOURS[style]}m{text}\x1b[0m" if self.has_colours else text

    def table(self, titles: Sequence[str], rows: Iterable[Sequence[object]], *, indent: str = "") -> None:
        """Aligned columns, the last one as long as it is."""
        for line in table_lines(titles, rows):
            self.line(indent + line)

    def write(self, text: str) -> int:
        """For what draws on the results by itself: as harmless as a line."""
        self._write(self._results, text, end="")
        return len(text)

    def flush(self) -> None:
        """Every write is flushed."""

    def isatty(self) -> bool:
        """Whether a person watches."""
        return self.is_terminal

    def fileno(self) -> int:
        """To ask for the terminal's size."""
        return self._results.fileno()

    @property
    def encoding(self) -> str:
        """What the terminal can show."""
        return self._results.encoding or "ascii"

    def _write(self, stream: TextIO, text: str, *, end: str = "\n") -> None:
        try:
            stream.write(text + end)
            stream.flush()
        except BrokenPipeError:
            if stream is self._results:
                self.has_reader = False
            silence(stream)
        except (OSError, ValueError):  # a full disk behind `>`, a stream that is closed: nobody left to tell
            silence(stream)


def silence(stream: TextIO) -> None:
    """Send what follows nowhere, so that the interpreter's last flush complains to nobody."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        return


def is_terminal(stream: TextIO) -> bool:
    """Whether a person sees what is written."""
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def table_lines(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Titles in capitals, then the rows, in columns as wide as their widest cell."""
    cells = [[title.upper() for title in titles], *([cell(value) for value in row] for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(titles))]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def cell(value: object) -> str:
    """A value on one line; nothing is a dash."""
    text = "" if value is None else str(value)
    return " ".join(sanitise(text, Use.LINE)[0].split()) or "-"


def to_plain(value: object) -> object:
    """Our values as JSON values; durations in seconds."""
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(value, timedelta_mode="float", serialize_unknown=True, by_alias=True)
