"""`fairlead up`: the control plane, and nothing of the data plane."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from deployments.cli.failing import OK
from deployments.cli.output import Output
from deployments.cli.reaching import control_plane, open_world, read_settings
from deployments.cli.verb import Verb, with_json


def options(parser: ArgumentParser) -> None:
    """--json."""
    with_json(parser)


def run(asked: Namespace, output: Output) -> int:
    """Start what is not running; what is, stays."""
    settings = read_settings()
    settings.ensure_directories()
    plane = control_plane(settings)
    if not asked.json:
        output.line(f"Starting the control plane of {settings.home}: what runs already stays.")
    open_world(settings)  # brings the tables up to date before anything works with them
    url = plane.up()
    status = plane.status()
    if asked.json:
        output.json({"home": settings.home, "prefect_api": url, "prefect_ui": ui_of(url), "services": status.services})
        return OK
    for name, is_running in status.services.items():
        output.line(f"  {name:<11} {'running' if is_running else 'not running'}")
    output.line(f"Prefect: {ui_of(url)}")
    return OK


def ui_of(api_url: str) -> str:
    """Where people look, from where programs ask."""
    return api_url.removesuffix("/api")


VERB = Verb(
    name="up",
    summary="start the control plane: PostgreSQL, Prefect, the warm runner, the reconciler",
    story="Deployments that were left by a lost controller are taken up by the reconciler within seconds. The warm "
    "runner takes runs that are triggered by API, by schedule or in the Prefect UI. `fairlead deploy` starts "
    "by itself what it needs of this. Running it again changes nothing.",
    examples=(
        ("fairlead up", "start it and print where the Prefect UI is"),
        ("fairlead up --json", "the same for scripts"),
    ),
    options=options,
    run=run,
)
