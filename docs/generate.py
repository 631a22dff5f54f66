"""Writes the pages that are made from the code: `python -m docs.generate`. A test fails while one is old."""

from __future__ import annotations

from argparse import Action, ArgumentParser, _SubParsersAction
from collections.abc import Callable, Iterator
from pathlib import Path

from deployments.cli.failing import EXIT_CODES
from deployments.cli.parser import ABOUT, FIRST_STEPS, VARIABLES
from deployments.cli.verb import Example, Verb
from deployments.cli.verbs.table import VERBS
from deployments.domain.environment import EnvironmentRecord
from deployments.domain.spec.reference import render_reference
from deployments.domain.status import ENDED, FORWARD, LEGAL, BuildStatus, DeploymentStatus

HERE = Path(__file__).parent
COMMAND_LINE_HEAD = f"""# The command line

{ABOUT} This page is made from the parsers that `fairlead --help` is printed from.

Results go to standard output; what is wrong, and progress beside a JSON document, go to standard error. Piped output is
plain lines. `NO_COLOR` is respected, and so is an encoding that lacks a character.
"""
STATES_HEAD = """# States of a deployment

Made from the one table of legal moves, `deployments/domain/status.py`. From every state on the way forward a deployment
can also become `failed`, `cancelled` or `timed_out`; the diagram leaves those arrows out, the table has them.
"""


def pages() -> dict[str, Callable[[], str]]:
    """Each page by the name of its file."""
    return {
        "specification.md": lambda: render_reference(EnvironmentRecord),
        "command-line.md": command_line,
        "states.md": states,
    }


def command_line() -> str:
    """Every verb with its options and examples, the exit codes, the variables."""
    parts = [COMMAND_LINE_HEAD, *examples(FIRST_STEPS)]
    parts += ["## Exit codes\n", "| code | meaning |", "|---:|---|"]
    parts += [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()]
    parts += ["", "## Environment variables\n", "| variable | meaning |", "|---|---|"]
    parts += [f"| `{name}` | {escaped(meaning)} |" for name, meaning in VARIABLES.items()]
    parts.append("")
    for verb in VERBS:
        parts += verb_lines(verb)
    return "\n".join(parts).rstrip() + "\n"


def verb_lines(verb: Verb) -> Iterator[str]:
    """One verb."""
    parser = ArgumentParser(prog=f"fairlead {verb.name}", add_help=False)
    verb.options(parser)
    yield f"## fairlead {verb.name}\n"
    yield f"{verb.summary[0].upper()}{verb.summary[1:]}.\n"
    yield f"{verb.story}\n"
    yield from option_table(parser)
    for action in parser._actions:  # argparse has no public way to ask
        if isinstance(action, _SubParsersAction):
            for name, order in action.choices.items():
                yield f"### fairlead {verb.name} {name}\n"
                yield f"{order.description[0].upper()}{order.description[1:]}.\n"
                yield from option_table(order)
    yield from examples(verb.examples)


def option_table(parser: ArgumentParser) -> Iterator[str]:
    """Arguments and options with what they mean."""
    shown = [
        action for action in parser._actions if not isinstance(action, _SubParsersAction) and action.dest != "help"
    ]
    if shown:
        yield "| option | meaning |"
        yield "|---|---|"
        for action in shown:
            yield f"| `{escaped(option_words(action))}` | {escaped(meaning_of(action, parser))} |"
        yield ""


def option_words(action: Action) -> str:
    """`-n, --lines N`."""
    choices = "{" + ",".join(str(choice) for choice in action.choices) + "}" if action.choices else None
    value = action.metavar or choices or action.dest.upper()
    if not action.option_strings:
        return f"[{value}]" if action.nargs == "?" else str(value)
    names = ", ".join(action.option_strings)
    return names if action.nargs == 0 else f"{names} {value}"


def meaning_of(action: Action, parser: ArgumentParser) -> str:
    """Its help, with the default filled in."""
    text = (action.help or "").replace("%(default)g", "%(default)s")
    return text % {"default": f"{action.default:g}" if isinstance(action.default, float) else action.default}


def examples(shown: tuple[Example, ...]) -> Iterator[str]:
    """As a shell would take them."""
    yield "```sh"
    for command, meaning in shown:
        yield f"{command}  # {meaning}"
    yield "```\n"


def states() -> str:
    """The diagram and the table."""
    parts = [STATES_HEAD, "```mermaid", "stateDiagram-v2", f"    [*] --> {DeploymentStatus.PENDING.value}"]
    for state in DeploymentStatus:
        shown = LEGAL[state] - ENDED if state in FORWARD else LEGAL[state]
        parts += [f"    {state.value} --> {target.value}" for target in in_order(shown)]
    resting = [state for state in DeploymentStatus if not LEGAL[state]]
    parts += [f"    {state.value} --> [*]" for state in resting]
    parts += ["```", "", "| state | is final | can become |", "|---|---|---|"]
    for state in DeploymentStatus:
        targets = ", ".join(target.value for target in in_order(LEGAL[state])) or "nothing"
        parts.append(f"| {state.value} | {'yes' if state.is_final else ''} | {targets} |")
    parts += [
        "",
        "A failed, cancelled or timed-out deployment that had touched anything goes on to `rolling_back` in the",
    ]
    parts += ["same transaction: nobody can see one without the other.", "", "## States of a build\n"]
    parts += ["What a provider reports for one release. An unknown word keeps the last state and is logged.", ""]
    parts += [", ".join(f"`{status.value}`" for status in BuildStatus) + ".", ""]
    return "\n".join(parts)


def in_order(found: frozenset[DeploymentStatus]) -> list[DeploymentStatus]:
    """In the order of the table."""
    return [state for state in DeploymentStatus if state in found]


def escaped(text: str) -> str:
    """A bar would end a cell."""
    return text.replace("|", "\\|")


def main() -> None:
    """Write every page."""
    for name, render in pages().items():
        (HERE / name).write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
