"""`fairlead deploy FILE`: bring the environment to the specification, completely or not at all."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from deployments.cli.ending import document, tell_ending
from deployments.cli.failing import REFUSED
from deployments.cli.output import Output
from deployments.cli.progress.showing import JsonLines, Lines, Live, View
from deployments.cli.reaching import read_settings
from deployments.cli.reading import base_of, read_specification_file, tell_changes
from deployments.cli.verb import Verb
from deployments.cli.verbs import validate

if TYPE_CHECKING:
    from deployments.cli.deploying import Ending
    from deployments.domain.reading.outcome import ReadOutcome


def options(parser: ArgumentParser) -> None:
    """FILE, --detach, and how progress is shown."""
    parser.add_argument("file", metavar="FILE", help="specification in YAML or JSON; - reads standard input")
    parser.add_argument(
        "--detach", action="store_true", help="hand it to the warm runner, starting that if needed, and return its run"
    )
    with_progress(parser)


def with_progress(parser: ArgumentParser) -> None:
    """How progress is shown."""
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument(
        "--json", action="store_true", help="one JSON document at the end; progress goes to standard error"
    )
    shown.add_argument(
        "--json-lines", action="store_true", help="each event as one line of JSON, the outcome as the last"
    )
    shown.add_argument("--plain", action="store_true", help="lines, also on a terminal")


def run(asked: Namespace, output: Output) -> int:
    """Read first: nothing is started for a file that is wrong."""
    outcome = read_specification_file(asked.file)
    specification = outcome.specification
    if specification is None:
        return refuse(asked, output, outcome)
    tell_changes(outcome, output)
    settings = read_settings()
    if asked.detach:
        from deployments.cli.detaching import detach

        return detach(settings, specification, base_of(asked.file), output, as_json=asked.json or asked.json_lines)
    from deployments.cli.deploying import Order, deploy_here, prepare_process

    view = view_for(asked, output)
    try:
        prepare_process(settings, view)
        ending = deploy_here(Order(specification, base_of(asked.file)), view)
    finally:
        view.close()
    return finish(asked, output, ending, specification.target_environment)


def finish(asked: Namespace, output: Output, ending: Ending, environment: str) -> int:
    """Tell how it ended, in the way that was asked for."""
    if asked.json or asked.json_lines:
        (output.json if asked.json else output.json_line)(document(ending))
    return tell_ending(ending, output, environment, is_beside_json=asked.json or asked.json_lines)


def refuse(asked: Namespace, output: Output, outcome: ReadOutcome) -> int:
    """Every problem, as `validate` tells them."""
    if asked.json or asked.json_lines:
        (output.json if asked.json else output.json_line)(
            {"error": {"family": "refused", "exit_code": REFUSED}, **validate.document(outcome)}
        )
    for problem in outcome.problems:
        output.complain(str(problem))
    output.complain(
        f"fairlead: refused: {asked.file} has {validate.count(len(outcome.problems), 'problem')}; nothing was touched."
    )
    return REFUSED


def view_for(asked: Namespace, output: Output) -> View:
    """A board for a person, lines for a pipe."""
    if asked.json_lines:
        return JsonLines(output)
    if output.is_terminal and not asked.json and not asked.plain:
        return Live(output)
    return Lines(output, is_beside_json=asked.json)


VERB = Verb(
    name="deploy",
    summary="bring an environment to a specification, completely or not at all",
    story="Starts whatever is needed and not running (PostgreSQL, Prefect's server, the proxy), then runs the deploy "
    "flow in this process: validation, preparation, deployment, testing, completion. When anything fails, "
    "traffic returns at once and everything that was touched is taken back; the exit code says why it failed. "
    "Ctrl-C and SIGTERM cancel and undo, and the command ends when that is done. If the process is killed, the "
    "next `fairlead up`, `deploy` or `cancel` finishes its work.",
    examples=(
        ("fairlead deploy shop.yaml", "with live progress on a terminal, lines when piped"),
        ("fairlead deploy shop.yaml --json > outcome.json", "for a pipeline; progress goes to standard error"),
        ("fairlead deploy shop.yaml --detach", "in the background, on the runner of `fairlead up`"),
    ),
    options=options,
    run=run,
)
