"""What a verb is: its words, its options, and what it does."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass

from deployments.cli.output import Output

Example = tuple[str, str]
"""A command, and what it does."""


@dataclass(frozen=True, slots=True)
class Verb:
    """One word after `fairlead`. `run` returns the exit code, or raises what `failing` turns into one."""

    name: str
    summary: str
    """One line, for the list of verbs."""
    story: str
    """What it does and does not do, for its own help."""
    examples: tuple[Example, ...]
    options: Callable[[ArgumentParser], None]
    run: Callable[[Namespace, Output], int]


def with_json(parser: ArgumentParser) -> None:
    """The option that most verbs have."""
    parser.add_argument("--json", action="store_true", help="print one JSON document for machines")


def with_environment(parser: ArgumentParser, text: str) -> None:
    """Names an environment where one name may be in several."""
    parser.add_argument("--environment", metavar="NAME", help=text)
