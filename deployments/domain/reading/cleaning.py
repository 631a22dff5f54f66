"""Cleans every text of a raw specification by what its field is for, and records each change."""

from __future__ import annotations

from collections.abc import Mapping

from deployments.domain.reading.located import DEEPEST, MOST_VALUES
from deployments.domain.sanitising import SanitisedChange, Use, is_plain, sanitise, shown
from deployments.domain.spec.problems import Finding, Path, field_path

PROSE = frozenset({"description", "message"})
LINES = frozenset(
    {
        "created_by",
        "correlation_id",
        "repository",
        "commit",
        "author",
        "contact",
        "principal",
        "region",
        "allowed_regions",
    }
)
FREE = frozenset({"environment_variables", "values", "headers"})


def use_of(path: Path) -> Use:
    """What the text at a path is for. Free entries of a mapping are values whatever their name is."""
    *around, name = [part for part in path if isinstance(part, str)] or [""]
    if "files" in around:
        return Use.CONTENT
    if FREE.intersection(around):
        return Use.VALUE
    if name in PROSE:
        return Use.PROSE
    return Use.LINE if name in LINES else Use.VALUE


class Cleaner:
    """Copies a raw value with its texts cleaned. Bounded as reading is, for values that came from no text."""

    def __init__(self) -> None:
        """Nothing seen yet."""
        self.changes: list[SanitisedChange] = []
        self.findings: list[Finding] = []
        self.count = 0

    def clean(self, value: object, path: Path = ()) -> object:
        """The copy. What is too deep or too much is left out, with a finding."""
        self.count += 1
        if self.count > MOST_VALUES or len(path) > DEEPEST:
            if self.count <= MOST_VALUES + 1:
                self.findings.append(Finding(path[:DEEPEST], "It is too large or nested too deep.", "Split it."))
            return None
        if isinstance(value, str):
            return self.text(value, path)
        if isinstance(value, Mapping):
            return {name: self.clean(item, (*path, name)) for name, item in self.named(value, path)}
        if isinstance(value, (list, tuple)):
            return [self.clean(item, (*path, index)) for index, item in enumerate(value)]
        return value

    def text(self, value: str, path: Path) -> str:
        """One text."""
        if is_plain(value):
            return value
        cleaned, taken = sanitise(value, use_of(path))
        self.changes += [SanitisedChange(field_path(path), what) for what in taken]
        return cleaned

    def named(self, value: Mapping[object, object], path: Path) -> list[tuple[str, object]]:
        """The entries whose names are text."""
        entries = []
        for name, item in value.items():
            if isinstance(name, str):
                entries.append((name, item))
            else:
                message = f"The key {shown(name)} is not text."
                self.findings.append(Finding(path, message, "Write it in quotes."))
        return entries
