"""`fairlead logs INSTANCE|SERVICE`: what the programs themselves wrote. It reads files, and needs nothing running."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from deployments.cli.failing import OK
from deployments.cli.output import Output
from deployments.cli.reaching import read_settings
from deployments.cli.verb import Verb, with_environment
from deployments.cli.verbs.history import natural


def options(parser: ArgumentParser) -> None:
    """NAME, --environment, -f, -n."""
    parser.add_argument("name", metavar="INSTANCE|SERVICE", help="an instance, or a service for all its living ones")
    with_environment(parser, "where it is, when several environments have one of this name")
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on with what is written from now on, until Ctrl-C"
    )
    parser.add_argument(
        "-n", "--lines", metavar="N", type=natural, default=100, help="the last N lines (default: %(default)s)"
    )


def run(asked: Namespace, output: Output) -> int:
    """The end of each log; with more than one, each line names its instance."""
    from deployments.assembly import data_plane
    from deployments.cli.tailing import InstanceLogs, follow, last_lines

    settings = read_settings()
    logs = InstanceLogs(settings.home / "logs" / "instances", data_plane(settings))
    chosen = logs.find(asked.name, asked.environment)
    has_names = len(chosen) > 1
    for log in chosen:
        for line in last_lines(log, asked.lines):
            output.raw(f"{log.stem} | {line}" if has_names else line)
    if asked.follow:
        try:
            follow(lambda: logs.find(asked.name, asked.environment), chosen, output)
        except KeyboardInterrupt:
            return OK
    return OK


VERB = Verb(
    name="logs",
    summary="print or follow what instances wrote",
    story="Reads the logs of an instance, or of a service: of its living instances, or of the newest one when none "
    "lives. With several, each line begins with its instance. Logs are kept after an instance has ended, and "
    "rotated at 10 MB.",
    examples=(
        ("fairlead logs web", "the last 100 lines of the service `web`"),
        ("fairlead logs web-k3m9x2ab-1 -n 20 -f", "follow one instance"),
        ("fairlead logs web --environment staging", "when several environments have a `web`"),
    ),
    options=options,
    run=run,
)
