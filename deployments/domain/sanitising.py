"""Takes out of text what could deceive a reader, drive a terminal or run in a page; every change is recorded.

What a text is for decides how far this goes: the content of a file keeps its markup and line ends, a name that people
read in a table keeps neither. Cleaning what is clean changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Use(StrEnum):
    """What a text is for."""

    PROSE = "prose"
    """Read by people, on several lines: no markup."""
    LINE = "line"
    """Read by people, on one line: no markup."""
    VALUE = "value"
    """Read by programs: commands, variables, addresses. Markup and line ends stay."""
    CONTENT = "content"
    """A file's content: everything stays but what drives a terminal."""


@dataclass(frozen=True, slots=True)
class SanitisedChange:
    """A text that was changed before it was used: the field's path, and what was taken out."""

    field: str
    what: str

    def __str__(self) -> str:
        """For people."""
        return f"{self.field}: removed {self.what}"


ESCAPE_SEQUENCE = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles, links, the clipboard
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # colours, cursor
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # device control strings
    r"|\x1b[ -/]*[0-~]?"
)
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)")
SURROGATE = re.compile(r"[\ud800-\udfff]")
DECEPTIVE = re.compile("[\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")
LINE_END = re.compile("[\t\r\n\u2028\u2029]+")
MARKUP = re.compile(
    r"<!--.*?(?:-->|\Z)|</?[A-Za-z][A-Za-z0-9:-]*(?:\s[^<>]*)?/?>|(?<=\]\()\s*(?:javascript|vbscript|data):",
    re.IGNORECASE | re.DOTALL,
)
LONGEST_MARKED_UP = 4_000
"""Longer prose is refused for its length anyway; its markup is not looked for, which bounds the time."""


def sanitise(text: str, use: Use) -> tuple[str, tuple[str, ...]]:
    """The text fit for its use, and what was taken out of it in words; nothing when it was clean."""
    if is_plain(text):
        return text, ()
    taken: list[str] = []
    for name, clean in STEPS[use]:
        cleaned = clean(text)
        if cleaned != text:
            taken.append(name)
            text = cleaned
    return text, tuple(taken)


def is_plain(text: str) -> bool:
    """Whether it is clean for every use: the usual case, told without a search."""
    return text.isascii() and text.isprintable() and "<" not in text and "](" not in text


def shown(text: object, longest: int = 60) -> str:
    """Foreign text fit to be quoted in a message: on one line, escaped and cut."""
    if isinstance(text, str):
        start = text[: longest + 1]
        quoted = start if _is_printable(start) else start.encode("unicode_escape").decode()
    else:
        quoted = type(text).__name__ if isinstance(text, (dict, list, tuple, set)) else repr(text)
    return quoted if len(quoted) <= longest else f"{quoted[:longest]}..."


def _is_printable(text: str) -> bool:
    return text.isprintable() and not SURROGATE.search(text)


def _without(pattern: re.Pattern[str], instead: str = "") -> Callable[[str], str]:
    return lambda text: pattern.sub(instead, text)


def _without_markup(text: str) -> str:
    """Until nothing is left: taking `<b>` out of `<scr<b>ipt>` leaves another tag."""
    if len(text) > LONGEST_MARKED_UP:
        return text
    while (cleaned := MARKUP.sub("", text)) != text:
        text = cleaned
    return text


def _on_one_line(text: str) -> str:
    return LINE_END.sub(" ", text).strip() if LINE_END.search(text) else text


Cleaning = tuple[str, Callable[[str], str]]
SAFE_ON_A_TERMINAL: tuple[Cleaning, ...] = (
    ("terminal escape sequences", _without(ESCAPE_SEQUENCE)),
    ("control characters", _without(CONTROL)),
    ("broken characters", _without(SURROGATE)),
)
NOT_DECEPTIVE: Cleaning = ("characters that reorder or hide text", _without(DECEPTIVE))
NO_MARKUP: Cleaning = ("markup", _without_markup)
STEPS: dict[Use, tuple[Cleaning, ...]] = {
    Use.CONTENT: SAFE_ON_A_TERMINAL,
    Use.VALUE: (*SAFE_ON_A_TERMINAL, NOT_DECEPTIVE),
    Use.PROSE: (*SAFE_ON_A_TERMINAL, NOT_DECEPTIVE, NO_MARKUP),
    Use.LINE: (*SAFE_ON_A_TERMINAL, NOT_DECEPTIVE, ("line ends", _on_one_line), NO_MARKUP),
}
