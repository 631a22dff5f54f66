"""`fairlead schema`: the JSON Schema of what can be written."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from deployments.cli.failing import OK
from deployments.cli.output import Output
from deployments.cli.verb import Verb

KINDS = ("deployment", "environment")


def options(parser: ArgumentParser) -> None:
    """Which of the two files."""
    parser.add_argument(
        "kind", nargs="?", choices=KINDS, default=KINDS[0], help="which kind of file (default: %(default)s)"
    )


def run(asked: Namespace, output: Output) -> int:
    """Print it."""
    from deployments.domain.environment import EnvironmentRecord
    from deployments.domain.spec.schema import schema_of, specification_schema

    output.json(specification_schema() if asked.kind == "deployment" else schema_of(EnvironmentRecord))
    return OK


VERB = Verb(
    name="schema",
    summary="print the JSON Schema of a specification",
    story="For editors and pipelines: fields, kinds, limits and what each field means, as JSON Schema 2020-12. Rules "
    "between fields are not in it; `fairlead validate` judges those too.",
    examples=(
        ("fairlead schema > fairlead.schema.json", "let an editor complete and check specifications"),
        ("fairlead schema environment", "the same for the file of `fairlead environment apply`"),
    ),
    options=options,
    run=run,
)
