"""Files that people name on the command line, as values or as everything that is wrong with them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from deployments.cli.output import Output
from deployments.domain.errors import Refused

if TYPE_CHECKING:
    from deployments.domain.reading.outcome import EnvironmentOutcome, ReadOutcome

STANDARD_INPUT = "-"
LARGEST_BYTES = 50_000_000


def read_text(name: str) -> str:
    """The file's text. Raises Refused, naming the file, when it cannot be read."""
    try:
        if name == STANDARD_INPUT:
            return decoded(sys.stdin.buffer.read(LARGEST_BYTES + 1), "standard input")
        with Path(name).open("rb") as file:
            return decoded(file.read(LARGEST_BYTES + 1), name)
    except FileNotFoundError as error:
        raise Refused(f"There is no file {name}.", remedy="Check the path.", file=name) from error
    except IsADirectoryError as error:
        raise Refused(f"{name} is a directory.", remedy="Name the file in it.", file=name) from error
    except OSError as error:
        raise Refused(f"{name} cannot be read: {error.strerror}.", remedy="Check its permissions.") from error


def decoded(content: bytes, name: str) -> str:
    """UTF-8, with or without a byte order mark."""
    if len(content) > LARGEST_BYTES:
        raise Refused(f"{name} is larger than {LARGEST_BYTES // 1_000_000} MB.", remedy="Split it.", file=name)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise Refused(f"{name}:{line}: it is not UTF-8 text.", remedy="Save it as UTF-8.", file=name) from error


def read_specification_file(name: str) -> ReadOutcome:
    """A specification, or every problem with its line."""
    from deployments.domain.reading.specification import read_specification

    return read_specification(read_text(name), file=name)


def read_environment_file(name: str) -> EnvironmentOutcome:
    """An environment's record, or every problem with its line."""
    from deployments.domain.reading.environment import read_environment

    return read_environment(read_text(name), file=name)


def base_of(name: str) -> Path:
    """The directory that the file's paths are relative to."""
    return Path.cwd() if name == STANDARD_INPUT else Path(name).absolute().parent


def tell_changes(outcome: ReadOutcome | EnvironmentOutcome, output: Output) -> None:
    """What was taken out of the texts."""
    for change in outcome.changes:
        output.complain(f"note: {change}")
