"""`fairlead destroy`: everything of this home stops, the data plane too."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from deployments.cli.failing import CANCELLED, OK
from deployments.cli.output import Output
from deployments.cli.reaching import read_settings
from deployments.cli.verb import Verb, with_json


def options(parser: ArgumentParser) -> None:
    """--yes, --everything, --force, --json."""
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--everything",
        action="store_true",
        help="remove records, releases, logs and provisioned resources too: the whole home",
    )
    parser.add_argument("--force", action="store_true", help="also while a deployment is under way, or without records")
    with_json(parser)


def run(asked: Namespace, output: Output) -> int:
    """Ask on a terminal; then stop, and say what was removed. Raises Refused where nobody can be asked."""
    from deployments.cli import destroying
    from deployments.domain.errors import Refused

    settings = read_settings()
    if not asked.yes:
        if not output.is_terminal or asked.json:
            raise Refused("Nothing was removed: there is nobody to ask.", remedy="Give --yes.")
        if not confirmed(output, settings.home, asked.everything):
            output.complain("Nothing was removed.")
            return CANCELLED
    removed = destroying.destroy(settings, everything=asked.everything, force=asked.force)
    if asked.json:
        output.json({"home": settings.home, "removed": removed})
        return OK
    for what in removed:
        output.line(f"removed {what}")
    if not removed:
        output.line(f"There was nothing of {settings.home} to remove.")
    elif not asked.everything:
        output.line(
            f"Records, releases, logs and resources are kept in {settings.home}; --everything removes those too."
        )
    return OK


def confirmed(output: Output, home: object, everything: bool) -> bool:
    """Whether the person at the terminal agrees."""
    kept = "and every file of it" if everything else "; its records stay"
    output.line(f"This stops every service, route and server of {home} {kept}.")
    output.line("Type yes to go on:")
    try:
        return input().strip().lower() == "yes"
    except EOFError:
        return False


VERB = Verb(
    name="destroy",
    summary="stop everything, services and routes too",
    story="Stops the data plane (instances, proxy, meter) and the control plane of this home, and says what it "
    "removed. Services stop answering. Records, releases, logs and provisioned resources are kept unless "
    "--everything is given, so that a later `deploy` or `rollback` finds them. On a terminal it asks first, "
    "elsewhere it wants --yes. "
    "While a deployment is under way it refuses.",
    examples=(
        ("fairlead destroy", "asks on a terminal"),
        ("fairlead destroy --yes --everything", "remove the whole home without asking"),
    ),
    options=options,
    run=run,
)
