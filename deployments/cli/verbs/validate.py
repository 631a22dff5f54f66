"""`fairlead validate FILE`: every mistake at once, with file and line."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from deployments.cli.failing import OK, REFUSED
from deployments.cli.output import Output
from deployments.cli.reading import read_specification_file, tell_changes
from deployments.cli.verb import Verb, with_json

if TYPE_CHECKING:
    from deployments.domain.reading.outcome import ReadOutcome
    from deployments.domain.spec.specification import DeploymentSpecification


def options(parser: ArgumentParser) -> None:
    """FILE, --json."""
    parser.add_argument("file", metavar="FILE", help="specification in YAML or JSON; - reads standard input")
    with_json(parser)


def run(asked: Namespace, output: Output) -> int:
    """Problems go to standard output, one a line, as other checkers do."""
    outcome = read_specification_file(asked.file)
    if asked.json:
        output.json(document(outcome))
    else:
        tell_changes(outcome, output)
        for problem in outcome.problems:
            output.line(str(problem))
        if outcome.specification is not None:
            output.line(f"{asked.file}: valid: {summary(outcome.specification)}")
    if outcome.specification is not None:
        return OK
    if not asked.json:
        output.complain(f"{asked.file}: {count(len(outcome.problems), 'problem')}; nothing was touched.")
    return REFUSED


def document(outcome: ReadOutcome) -> dict[str, object]:
    """The outcome for machines."""
    return {
        "is_valid": outcome.specification is not None,
        "problems": outcome.problems,
        "sanitised": outcome.changes,
    }


def summary(specification: DeploymentSpecification) -> str:
    """What it asks for, in a line."""
    named = ", ".join(f"{service.name} {service.version}" for service in specification.services[:5])
    more = len(specification.services) - 5
    services = f"{named} and {more} more" if more > 0 else named
    return f"{specification.project} to {specification.target_environment}: {services}"


def count(number: int, word: str) -> str:
    """`1 problem`, `2 problems`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


VERB = Verb(
    name="validate",
    summary="find every mistake in a specification",
    story="Reads the file and judges every field and every rule between fields. All problems are told at once, each "
    "with file, line, field, what is wrong and the remedy. Nothing is started and nothing is touched; what "
    "depends on the machine (ports, sources, capacity) is judged by `plan` and `deploy`.",
    examples=(
        ("fairlead validate shop.yaml", "exit code 0 when it is valid, 2 when it is not"),
        ("fairlead validate --json shop.yaml", "the same for an editor or a pipeline"),
        ("generate | fairlead validate -", "read standard input"),
    ),
    options=options,
    run=run,
)
