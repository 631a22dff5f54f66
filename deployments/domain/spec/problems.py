"""What is wrong with a specification: where, what, and the remedy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from deployments.domain.sanitising import shown

Path = tuple[str | int, ...]
"""The way to a field: ("services", 0, "port")."""
PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, found in a specification as a value: it has a path and no line yet."""

    path: Path
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, as people are told: `shop.yaml:12: services[0].port: ...`."""

    field: str
    """Path of the field, as in `services[0].health_checks[1].probe.path`; empty for the file as a whole."""
    message: str
    remedy: str = ""
    file: str | None = None
    line: int | None = None
    """Counted from 1."""

    def __str__(self) -> str:
        """Where, what and the remedy, on one line."""
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        return ": ".join(part for part in (place, self.field, f"{self.message} {self.remedy}".strip()) if part)


def field_path(path: Iterable[str | int]) -> str:
    """A path as people write it."""
    words: list[str] = []
    for part in path:
        if isinstance(part, int):
            words.append(f"[{part}]")
        elif PLAIN_KEY.fullmatch(part):
            words.append(f".{part}" if words else part)
        else:
            words.append(f'["{shown(part, 100)}"]')
    return "".join(words)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    plain = {_plain(name): name for name in known}
    swapped = [name for name in plain if sorted(name) == sorted(_plain(word))]
    found = swapped or get_close_matches(_plain(word), plain, n=1, cutoff=0.65)
    return plain[found[0]] if found else None


def one_of(words: Iterable[str], most: int = 12) -> str:
    """Words as a list for people: `a`, `b` or `c`."""
    listed = [f"`{word}`" for word in words]
    if len(listed) > most:
        return f"{', '.join(listed[:most])} and {len(listed) - most} more"
    return " or ".join(part for part in (", ".join(listed[:-1]), *listed[-1:]) if part)


def repeated(names: Iterable[str]) -> Iterator[tuple[int, int, str]]:
    """Names that came before: (index, index of the first, name)."""
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if name in first:
            yield index, first[name], name
        else:
            first[name] = index


def _plain(word: str) -> str:
    return word[:100].lower().replace("-", "_").replace(" ", "_")
