"""What Prefect says while a flow runs in this process: all into a file, to the terminal only what nobody else tells.

`prefect_logging.yml` names the classes here. That a flow or a task failed is told by the deployment's own events and
its error; an error of Prefect itself (its server does not answer, a hook failed) is told in one line.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path

CONFIGURATION = Path(__file__).parent / "prefect_logging.yml"
FILE_VARIABLE = "FAIRLEAD_PREFECT_LOG"
LARGEST_BYTES, KEPT = 5_000_000, 2
TOLD_ELSEWHERE = ("prefect.flow_runs", "prefect.task_runs", "fairlead", "asyncio")
LISTENERS: list[Callable[[str], None]] = []
"""Told each error line."""


def quiet_variables(log: Path) -> dict[str, str]:
    """What to set before Prefect is imported, so that it writes to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return {"PREFECT_LOGGING_SETTINGS_PATH": str(CONFIGURATION), FILE_VARIABLE: str(log)}


class KeptLog(RotatingFileHandler):
    """Everything, in a file that does not grow forever."""

    def __init__(self) -> None:
        """Into the file that the variable names."""
        log = os.environ.get(FILE_VARIABLE, os.devnull)
        super().__init__(log, maxBytes=0 if log == os.devnull else LARGEST_BYTES, backupCount=KEPT, delay=True)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """A full disk: the deployment goes on without this line."""


class ErrorLines(logging.Handler):
    """Errors that no event tells, each once."""

    def __init__(self) -> None:
        """Errors only."""
        super().__init__(logging.ERROR)
        self._told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """One line to whoever listens."""
        if record.name.startswith(TOLD_ELSEWHERE):
            return
        line = f"{record.name}: {record.getMessage().splitlines()[0] if record.getMessage() else record.levelname}"
        if line not in self._told:
            self._told.add(line)
            for tell in LISTENERS:
                tell(line)
