"""Raw values to a model, with every error explained, placed and counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import ValidationError

from deployments.domain.reading.cleaning import Cleaner
from deployments.domain.reading.explaining import errors_of, explain, kind_of
from deployments.domain.reading.located import Located
from deployments.domain.sanitising import SanitisedChange
from deployments.domain.spec.model import Part
from deployments.domain.spec.problems import Finding, Problem, field_path

MOST_PROBLEMS = 100
MOST_EXPLAINED = 500
"""Finding the word that was meant takes time: a file with more errors than this is not a specification."""
P = TypeVar("P", bound=Part)
Between = Callable[[object, ValidationError], list[Finding]]
"""Judges what can be read of a value that has errors."""


@dataclass(frozen=True, slots=True)
class Parsed(Generic[P]):
    """A model without problems, or problems."""

    value: P | None
    problems: tuple[Problem, ...]
    changes: tuple[SanitisedChange, ...]


def parse(
    model: type[P],
    located: Located,
    *,
    file: str | None,
    rules: Callable[[P], Iterable[Finding]],
    between: Between,
) -> Parsed[P]:
    """The model, judged by `rules`; with errors, the errors and what `between` finds beside them."""
    told = [Problem(field_path(p.path), p.message, p.remedy, file, p.line) for p in located.problems]
    if located.value is None and told:
        return Parsed(None, tuple(told), ())
    if not isinstance(located.value, dict):
        what = "empty" if located.value is None else f"{kind_of(located.value)}, not a mapping"
        told.append(Problem("", f"It is {what}.", "See `fairlead schema` for its fields.", file, located.line_of(())))
        return Parsed(None, tuple(told), ())
    cleaner = Cleaner()
    data = cleaner.clean(located.value)
    findings = list(cleaner.findings)
    value: P | None = None
    unexplained = 0
    try:
        value = model.model_validate(data)
        findings += rules(value)
    except ValidationError as error:
        details = errors_of(error)
        findings += [explain(detail, model, located.written) for detail in details[:MOST_EXPLAINED]]
        findings += between(data, error) if len(details) <= MOST_EXPLAINED else []
        unexplained = max(0, len(details) - MOST_EXPLAINED)
    problems = sorted_problems(told, findings, located, file, unexplained)
    return Parsed(None if problems else value, problems, tuple(cleaner.changes))


def sorted_problems(
    told: list[Problem], findings: Iterable[Finding], located: Located, file: str | None, unexplained: int
) -> tuple[Problem, ...]:
    """Every problem once, from the top of the file to its end, up to a number that can be read."""
    found = [Problem(field_path(f.path), f.message, f.remedy, file, located.line_of(f.path)) for f in findings]
    problems = sorted(dict.fromkeys([*told, *found]), key=lambda problem: problem.line or 0)
    if len(problems) > MOST_PROBLEMS:
        rest = len(problems) - MOST_PROBLEMS + unexplained
        more = Problem("", f"There are {rest} more problems.", "Correct these first.", file)
        return (*problems[:MOST_PROBLEMS], more)
    return tuple(problems)
