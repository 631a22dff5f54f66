"""The grammar of versions: PEP 440, or semantic versions; with an order where there is one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from packaging.version import InvalidVersion as NotPep440
from packaging.version import Version as Pep440

from deployments.domain.errors import Refused

SEMANTIC = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?"
)
LONGEST = 100
Precedence = tuple[tuple[int, int, str], ...]


class InvalidVersion(Refused):
    """The version follows neither PEP 440 nor semantic versioning."""


@dataclass(frozen=True, slots=True)
class SemanticVersion:
    """major.minor.patch with the precedence of its pre-release: a final release comes after all of them."""

    release: tuple[int, int, int]
    precedence: Precedence


@dataclass(frozen=True, slots=True)
class Version:
    """A version as written, and what it means. Equal when written the same."""

    text: str
    meaning: Pep440 | SemanticVersion = field(compare=False, repr=False)

    def __str__(self) -> str:
        """As written."""
        return self.text

    def is_older_than(self, other: Version) -> bool | None:
        """None where the grammars differ and the numbers say nothing: 1.0.0-x.7 against 1.0.post1."""
        mine, theirs = self.meaning, other.meaning
        if isinstance(mine, Pep440) and isinstance(theirs, Pep440):
            return mine < theirs
        if isinstance(mine, SemanticVersion) and isinstance(theirs, SemanticVersion):
            return (mine.release, mine.precedence) < (theirs.release, theirs.precedence)
        left, right = _numbers(mine), _numbers(theirs)
        return None if left == right else left < right


def parse_version(text: str) -> Version:
    """PEP 440 first, then semantic. Raises InvalidVersion."""
    if len(text) <= LONGEST and text.isascii() and text == text.strip():
        try:
            return Version(text, Pep440(text))
        except NotPep440:
            if found := SEMANTIC.fullmatch(text):
                major, minor, patch = (int(number) for number in found.group(1, 2, 3))
                return Version(text, SemanticVersion((major, minor, patch), _precedence(found[4])))
    raise InvalidVersion(
        f"{text!r:.120} is not a version.",
        remedy="Write it like 1.4.2, 2.0rc1 or 1.0.0-beta.2.",
        version=text[:LONGEST],
    )


def _precedence(prerelease: str | None) -> Precedence:
    """Numbers before words, fewer fields before more; no pre-release after every pre-release (semver.org, 11)."""
    if prerelease is None:
        return ((2, 0, ""),)
    parts = prerelease.split(".")
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts)


def _numbers(meaning: Pep440 | SemanticVersion) -> tuple[int, ...]:
    numbers = [*meaning.release]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
