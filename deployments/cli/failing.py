"""What a person and a script are told when a command cannot do its work: one message, one exit code per family."""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path

from deployments.cli.output import Output
from deployments.domain.errors import (
    Broken,
    Cancelled,
    Conflict,
    ControllerLost,
    DeploymentError,
    Refused,
    SecurityError,
    Unavailable,
)
from deployments.domain.sanitising import Use, sanitise

OK, UNEXPECTED, REFUSED, SECURITY, CONFLICT, UNAVAILABLE, BROKEN, CANCELLED = 0, 1, 2, 3, 4, 5, 6, 130
EXIT_CODES = {
    OK: "done",
    UNEXPECTED: "something unexpected, a bug: the message says where the traceback is",
    REFUSED: "refused: the request breaks a rule, and will again (bad files and options too)",
    SECURITY: "refused: whoever asks may not do this",
    CONFLICT: "conflict: somebody else moved first; look again",
    UNAVAILABLE: "unavailable: something outside did not answer; try again",
    BROKEN: "broken: a release failed and was taken back, or a person must help",
    CANCELLED: "cancelled (Ctrl-C, SIGTERM or `fairlead cancel`), and taken back",
}
FAMILIES: tuple[tuple[type[BaseException], int, str], ...] = (
    (ControllerLost, CONFLICT, "conflict"),
    (Cancelled, CANCELLED, "cancelled"),
    (SecurityError, SECURITY, "not allowed"),
    (Refused, REFUSED, "refused"),
    (Conflict, CONFLICT, "conflict"),
    (Unavailable, UNAVAILABLE, "unavailable"),
    (Broken, BROKEN, "failed"),
    (KeyboardInterrupt, CANCELLED, "cancelled"),
)
"""The first row that fits counts."""
DEBUG = "FAIRLEAD_DEBUG"


def exit_code(error: BaseException) -> int:
    """By the error's family."""
    return next((code for kind, code, _ in FAMILIES if isinstance(error, kind)), UNEXPECTED)


def family(error: BaseException) -> str:
    """The family in a word."""
    return next((word for kind, _, word in FAMILIES if isinstance(error, kind)), "unexpected")


def tell(error: BaseException, output: Output) -> int:
    """Say what is wrong and the remedy; returns the exit code."""
    if os.environ.get(DEBUG):
        output.complain("".join(traceback.format_exception(error)).rstrip())
    for line in lines_of(error):
        output.complain(line)
    return exit_code(error)


def lines_of(error: BaseException) -> list[str]:
    """`fairlead: FAMILY: what is wrong`, and the remedy on a line of its own."""
    if isinstance(error, KeyboardInterrupt):
        return ["fairlead: interrupted; nothing was under way."]
    if isinstance(error, DeploymentError):
        words = [f"fairlead: {family(error)}: {harmless(error.message)}"]
        return [*words, f"  remedy: {harmless(error.remedy)}"] if error.remedy else words
    what = harmless(f"{type(error).__name__}: {error}".splitlines()[0])
    return [f"fairlead: unexpected: {what}", f"  {keep_traceback(error)}"]


def to_json(error: BaseException) -> dict[str, object]:
    """The same for machines."""
    is_ours = isinstance(error, DeploymentError)
    return {
        "kind": type(error).__name__,
        "family": family(error),
        "message": error.message if isinstance(error, DeploymentError) else str(error),
        "remedy": error.remedy if isinstance(error, DeploymentError) else None,
        "context": dict(error.context) if isinstance(error, DeploymentError) else {},
        "is_expected": is_ours,
        "exit_code": exit_code(error),
    }


def harmless(text: str) -> str:
    """Text that may quote the outside, fit for a terminal."""
    return sanitise(text, Use.CONTENT)[0]


def keep_traceback(error: BaseException) -> str:
    """Write it where it can be found; returns where that is, in words."""
    from deployments.settings import Settings

    told = "".join(traceback.format_exception(error))
    try:
        log = Settings.read(os.environ).home / "logs" / "fairlead.log"
        write_private(log, f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {' '.join(sys.argv)}\n{told}\n")
    except (OSError, DeploymentError):
        return f"Set {DEBUG}=1 to see the traceback."
    return f"The traceback is at the end of {log}; {DEBUG}=1 shows it here."


def write_private(log: Path, text: str) -> None:
    """Append, for the user's eyes only."""
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
