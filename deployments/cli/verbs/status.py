"""`fairlead status [ENVIRONMENT]`: what runs, which release has the traffic, who changes it. It only looks."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from deployments.cli.failing import OK, UNAVAILABLE
from deployments.cli.output import Output
from deployments.cli.reaching import control_plane, read_settings, require_records
from deployments.cli.verb import Verb, with_json
from deployments.domain.errors import Unavailable


def options(parser: ArgumentParser) -> None:
    """ENVIRONMENT, --json."""
    parser.add_argument("environment", metavar="ENVIRONMENT", nargs="?", help="one of them; all unless given")
    with_json(parser)


def run(asked: Namespace, output: Output) -> int:
    """Look at records, data plane and control plane; start nothing and take over nothing."""
    from deployments.cli import surveying

    settings = read_settings()
    plane = control_plane(settings)
    control = plane.status()
    try:
        world = require_records(settings, plane)
    except Unavailable as away:
        found = surveying.survey_without_records(settings, asked.environment)
        if asked.json:
            output.json(
                {
                    "home": settings.home,
                    "control_plane": control,
                    "records": None,
                    "why": away.message,
                    "instances": found,
                }
            )
        else:
            surveying.tell_control_plane(control, output)
            surveying.tell_without_records(found, away, output)
        return UNAVAILABLE if asked.environment else OK
    surveys = surveying.survey(world, asked.environment)
    if asked.json:
        environments = [surveying.document(one) for one in surveys]
        output.json({"home": settings.home, "control_plane": control, "environments": environments})
        return OK
    for one in surveys:
        surveying.tell(one, output)
    if not surveys:
        output.line("There are no environments yet: `fairlead deploy FILE` makes the first one.")
    surveying.tell_control_plane(control, output)
    return OK


VERB = Verb(
    name="status",
    summary="show what runs, which release has the traffic, and who changes it",
    story="Looks at the records, the proxy, the instances and the control plane. It starts nothing and takes nothing "
    "over: while PostgreSQL is not running, it says so and shows the instances as the data plane knows them.",
    examples=(
        ("fairlead status", "every environment"),
        ("fairlead status production", "one of them"),
        ("fairlead status production --json", "for machines"),
    ),
    options=options,
    run=run,
)
