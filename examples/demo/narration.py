"""Words for people: coloured in a terminal, plain when piped."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterable, Sequence

WIDTH = 100
STYLES = {"bold": "1", "dim": "2", "green": "32", "red": "31"}


class Narrator:
    """Tells the story on standard output."""

    def __init__(self) -> None:
        """Colours only where a terminal shows them."""
        is_plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        self.has_colours = sys.stdout.isatty() and not is_plain

    def act(self, number: int, title: str) -> None:
        """The heading of a part of the story."""
        self.line()
        self.line(self.styled(f"{number}. {title}", "bold"))

    def say(self, text: str) -> None:
        """A paragraph."""
        for line in textwrap.wrap(" ".join(text.split()), WIDTH):
            self.line(line)

    def command(self, words: Sequence[str]) -> None:
        """What a person would type."""
        self.line(self.styled("$ " + " ".join(words), "dim"))

    def table(self, rows: Iterable[Sequence[object]], *, indent: str = "  ") -> None:
        """Aligned columns; numbers to the right."""
        texts = [
            [(f"{cell:,}" if isinstance(cell, int) else str(cell), isinstance(cell, int)) for cell in row]
            for row in rows
        ]
        widths = [max(len(row[column][0]) for row in texts) for column in range(len(texts[0]))] if texts else []
        for row in texts:
            cells = [
                text.rjust(width) if right else text.ljust(width)
                for (text, right), width in zip(row, widths, strict=True)
            ]
            self.line((indent + "  ".join(cells)).rstrip())

    def verdict(self, text: str, *, is_good: bool) -> None:
        """The last word."""
        self.line()
        for line in textwrap.wrap(text, WIDTH):
            self.line(self.styled(line, "green" if is_good else "red"))

    def styled(self, text: str, style: str) -> str:
        """The text in a style, where styles are shown."""
        return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if self.has_colours else text

    def line(self, text: str = "") -> None:
        """One line, whatever the terminal's encoding; a reader that went away (`| head`) does not stop the story."""
        encoding = sys.stdout.encoding or "ascii"
        try:
            print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
