"""An environment's record, from a file's text or from parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deployments.domain.environment import EnvironmentRecord
from deployments.domain.reading.located import Located, locate
from deployments.domain.reading.outcome import EnvironmentOutcome
from deployments.domain.reading.parsing import parse
from deployments.domain.spec.problems import Finding, repeated


def read_environment(text: str, *, file: str) -> EnvironmentOutcome:
    """YAML or JSON text to a record, or to every problem with its line. Never raises for what the text holds."""
    return _outcome(locate(text), file)


def parse_environment(data: Mapping[str, object]) -> EnvironmentOutcome:
    """Parameters to a record by the same rules; the problems have no lines."""
    return _outcome(Located(value=dict(data)), None)  # type: ignore[arg-type]  # foreign values: judged while parsing


def grants_once(record: EnvironmentRecord) -> Iterator[Finding]:
    """A principal has one grant, so that taking it away takes everything away."""
    for index, first, principal in repeated(grant.principal for grant in record.grants):
        message = f"`{principal}` has a grant in grants[{first}] already."
        yield Finding(("grants", index, "principal"), message, "Put all permissions of a principal into one grant.")


def _outcome(located: Located, file: str | None) -> EnvironmentOutcome:
    parsed = parse(EnvironmentRecord, located, file=file, rules=grants_once, between=lambda _data, _error: [])
    return EnvironmentOutcome(parsed.value, parsed.problems, parsed.changes)
