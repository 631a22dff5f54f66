"""`fairlead plan FILE`: what would happen, from what is observed now. Nothing is changed."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from deployments.cli.failing import OK
from deployments.cli.output import Output
from deployments.cli.reaching import open_world, read_settings, user
from deployments.cli.reading import base_of, read_specification_file, tell_changes
from deployments.cli.verb import Verb, with_json

if TYPE_CHECKING:
    from deployments.domain.facts import Facts
    from deployments.domain.plan import Plan
    from deployments.domain.spec.specification import DeploymentSpecification
    from deployments.domain.values import ValidationResult

PREVIEW = "preview"
"""Stands for the id that the deployment will have: new instances are named by its end."""


def options(parser: ArgumentParser) -> None:
    """FILE, --json."""
    parser.add_argument("file", metavar="FILE", help="specification in YAML or JSON; - reads standard input")
    with_json(parser)


def run(asked: Namespace, output: Output) -> int:
    """Observe, plan, judge, show; the exit code is the one `deploy` would refuse with."""
    from deployments.cli.planning import Preview, plan_document, refusal, tell_plan

    outcome = read_specification_file(asked.file)
    specification = outcome.require()
    tell_changes(outcome, output)
    world = open_world(read_settings())
    facts, plan, results = look(world, specification, asked.file)
    preview = Preview(specification, plan, results, dict(facts.missing_paths), facts)
    error = refusal(preview)
    if asked.json:
        output.json(plan_document(preview, error))
    elif plan is not None:
        tell_plan(preview, output)
    if error is None:
        return OK
    from deployments.cli.failing import exit_code, tell

    return exit_code(error) if asked.json else tell(error, output)


def look(
    world: object, specification: DeploymentSpecification, file: str
) -> tuple[Facts, Plan | None, tuple[ValidationResult, ...]]:
    """Facts, plan and verdicts; no plan while a source cannot be resolved."""
    from deployments.domain.facts import Principal
    from deployments.domain.planning import plan_deployment
    from deployments.domain.validators.table import validate_all
    from deployments.driver.observing import observe
    from deployments.driver.world import World

    assert isinstance(world, World)
    facts = observe(world, specification, base=base_of(file), principal=Principal(user()))
    plan = None if facts.missing_paths else plan_deployment(specification, facts, deployment=PREVIEW)
    return facts, plan, tuple(validate_all(specification, facts))


VERB = Verb(
    name="plan",
    summary="show what a deployment would do; nothing is changed",
    story="Observes what runs, resolves sources, and shows what changes, in which order, each step with its undo and "
    "with how it is looked at when in doubt, until when everything can be undone, how fast traffic returns, "
    "the risk with the fact behind each point, and what every rule says. Planning what already runs gives an "
    "empty plan. The exit code is 0 when `deploy` would begin, else the one it would refuse with. The embedded "
    "PostgreSQL is started to read the records.",
    examples=(
        ("fairlead plan shop.yaml", "read it before you deploy"),
        ("fairlead plan shop.yaml --json", "for a pipeline that decides on the risk score"),
    ),
    options=options,
    run=run,
)
