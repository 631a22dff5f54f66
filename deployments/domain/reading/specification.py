"""A deployment's specification, from a file's text or from parameters."""

from __future__ import annotations

from collections.abc import Mapping

from deployments.domain.reading.located import Located, locate
from deployments.domain.reading.outcome import ReadOutcome
from deployments.domain.reading.parsing import parse
from deployments.domain.reading.salvage import findings_between
from deployments.domain.spec.rules.table import findings_of
from deployments.domain.spec.specification import DeploymentSpecification


def read_specification(text: str, *, file: str) -> ReadOutcome:
    """YAML or JSON text to a specification, or to every problem with its line. Never raises for what the text holds."""
    return _outcome(locate(text), file)


def parse_specification(data: Mapping[str, object] | DeploymentSpecification) -> ReadOutcome:
    """Parameters to a specification by the same rules; the problems have no lines."""
    if isinstance(data, DeploymentSpecification):
        data = data.model_dump(mode="json")
    return _outcome(Located(value=dict(data)), None)  # type: ignore[arg-type]  # foreign values: judged while parsing


def _outcome(located: Located, file: str | None) -> ReadOutcome:
    parsed = parse(DeploymentSpecification, located, file=file, rules=findings_of, between=findings_between)
    return ReadOutcome(parsed.value, parsed.problems, parsed.changes)
