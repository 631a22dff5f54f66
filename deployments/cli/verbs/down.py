"""`fairlead down`: the control plane stops, services and routes stay."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import timedelta

from deployments.cli.failing import OK
from deployments.cli.output import Output
from deployments.cli.reaching import control_plane, read_settings
from deployments.cli.verb import Verb, with_json


def options(parser: ArgumentParser) -> None:
    """--grace, --json."""
    parser.add_argument(
        "--grace",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long runs in progress may take to undo what they did (default: %(default)g)",
    )
    with_json(parser)


def run(asked: Namespace, output: Output) -> int:
    """Stop it and say what was stopped."""
    settings = read_settings()
    stopped = control_plane(settings).down(grace=timedelta(seconds=asked.grace))
    if asked.json:
        output.json({"home": settings.home, "stopped": stopped})
        return OK
    for what in stopped:
        output.line(f"stopped {what}")
    output.line("The control plane is down. Services and routes run on; `fairlead destroy` stops those too.")
    return OK


VERB = Verb(
    name="down",
    summary="stop the control plane; services and routes stay",
    story="Stops PostgreSQL, Prefect's server, the warm runner and the reconciler. Runs in progress on the runner "
    "are asked to end first, and undo what they did. Everything that answers requests goes on.",
    examples=(("fairlead down", "stop it; the services answer as before"),),
    options=options,
    run=run,
)
