"""What a run prints, when nobody reads it any more."""

from __future__ import annotations

import logging
from functools import partial

from rich.console import Console


def outlive_the_reader() -> None:
    """Go on in silence when the pipe of standard output breaks, as it does when the worker at its other end is killed.

    Prefect's console handler prints through rich, which answers a broken pipe with SystemExit: the run would be
    cancelled by its own next log line, and a deployment that is an orphan by then taken back for nothing.
    """
    known = [logging.getLogger(name) for name in list(logging.Logger.manager.loggerDict)]
    for handler in {handler for logger in (logging.getLogger(), *known) for handler in logger.handlers}:
        console = getattr(handler, "console", None)
        if isinstance(console, Console):
            console.on_broken_pipe = partial(_fall_silent, console)  # type: ignore[method-assign]  # rich asks for a subclass


def _fall_silent(console: Console) -> None:
    console.quiet = True
