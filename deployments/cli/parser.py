"""The words of the command line: what a person can type is declared here and in `verbs/`, with no import for it."""

from __future__ import annotations

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterable
from textwrap import fill

from deployments.cli.failing import DEBUG, EXIT_CODES
from deployments.cli.verb import Example, Verb
from deployments.cli.verbs.table import VERBS

ABOUT = "Fairlead: every release goes out completely or comes back completely."
FIRST_STEPS: tuple[Example, ...] = (
    ("fairlead doctor", "what this machine has, and what is missing"),
    ("fairlead validate shop.yaml", "find every mistake in a specification; nothing is touched"),
    ("fairlead plan shop.yaml", "see what would happen; nothing is touched"),
    ("fairlead deploy shop.yaml", "bring the environment to it, starting whatever is needed"),
    ("fairlead status", "what runs, which version has the traffic"),
)
VARIABLES = {
    "FAIRLEAD_HOME": "where state is kept (default: ~/.local/state/fairlead)",
    "FAIRLEAD_DATABASE_URL": "a PostgreSQL of your own for the records (default: an embedded one)",
    "FAIRLEAD_WHEELHOUSE": "a folder of wheels that builds use in place of the package index",
    "FAIRLEAD_HAPROXY": "the HAProxy to run (default: the packaged one, else the one on PATH)",
    DEBUG: "show tracebacks",
    "NO_COLOR": "no colours",
}


class Formatter(RawDescriptionHelpFormatter):
    """Descriptions as they are written, options in two columns."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26)


def make_parser(verbs: Iterable[Verb] = VERBS) -> ArgumentParser:
    """The whole command line."""
    parser = ArgumentParser(prog="fairlead", description=ABOUT, epilog=epilog(), formatter_class=Formatter)
    parser.add_argument("--version", action="store_true", help="print the version")
    places = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    for verb in verbs:
        place = places.add_parser(
            verb.name,
            help=verb.summary,
            description=f"{verb.summary[0].upper()}{verb.summary[1:]}.\n\n{fill(verb.story, 98)}",
            epilog="examples:\n" + example_lines(verb.examples),
            formatter_class=Formatter,
        )
        verb.options(place)
        place.set_defaults(run=verb.run)
    return parser


def epilog() -> str:
    """Examples, exit codes and variables."""
    codes = "\n".join(f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODES.items())
    variables = "\n".join(f"  {name:<22}  {meaning}" for name, meaning in VARIABLES.items())
    return (
        f"examples:\n{example_lines(FIRST_STEPS)}\n\nexit codes:\n{codes}\n\nenvironment variables:\n{variables}\n\n"
        "`fairlead VERB --help` tells more about each."
    )


def example_lines(examples: Iterable[Example]) -> str:
    """One per line, with what it does."""
    return "\n".join(f"  {command}\n      {meaning}" for command, meaning in examples)
