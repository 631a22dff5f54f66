"""`fairlead cancel DEPLOYMENT`: an order in the records, which whoever drives the deployment obeys."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from deployments.cli.failing import OK
from deployments.cli.output import Output
from deployments.cli.reaching import open_world, read_settings, user
from deployments.cli.verb import Verb, with_environment, with_json
from deployments.cli.waiting import code_of, follow_to_end


def options(parser: ArgumentParser) -> None:
    """DEPLOYMENT, --reason, --environment, --no-wait, --json."""
    parser.add_argument("deployment", metavar="DEPLOYMENT", help="its name or id")
    parser.add_argument("--reason", default="", metavar="WHY", help="kept with the order, and shown by `show`")
    with_environment(parser, "where the deployment is, when several environments have one of this name")
    parser.add_argument("--no-wait", action="store_true", help="return once the order is recorded")
    with_json(parser)


def run(asked: Namespace, output: Output) -> int:
    """Order it, then watch it come back."""
    world = open_world(read_settings())
    found = world.records.deployments.get(asked.deployment, environment=asked.environment)
    order = world.records.commands.request(found.id, "cancel", by=user(), reason=asked.reason)
    if not asked.json:
        output.line(f"Asked {found.name} ({found.id}) to cancel; what it has touched is taken back.")
    if asked.no_wait:
        if asked.json:
            output.json({"deployment": found.id, "name": found.name, "asked_at": order.requested_at})
        return OK
    ended = follow_to_end(world, found, output, is_quiet=asked.json)
    if asked.json:
        output.json({"deployment": ended.id, "name": ended.name, "status": ended.status, "message": ended.message})
    else:
        output.line(f"{ended.name}: {ended.status}{': ' + ended.message if ended.message else ''}")
    return code_of(ended, wanted="cancel")


VERB = Verb(
    name="cancel",
    summary="cancel a deployment that is under way, and take it back",
    story="Records the order; whoever drives the deployment obeys within a second, returns the traffic first and "
    "then takes back everything else. A deployment that nobody drives any more is taken over. One that has "
    "marked its releases stable completes: use `fairlead rollback` then.",
    examples=(
        ("fairlead cancel shop-42 --reason 'wrong branch'", "cancel it and wait until it is back"),
        ("fairlead cancel shop-42 --no-wait", "record the order only"),
    ),
    options=options,
    run=run,
)
