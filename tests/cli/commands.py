"""The real command in a real process, as a person or a pipeline runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parents[2]
PATIENCE_SECONDS = 240.0
FORGOTTEN = ("FAIRLEAD_", "PREFECT_", "NO_COLOR", "COLUMNS")
MARK = "FAIRLEAD_TEST_SESSION"
"""By which the session finds processes that were left behind."""
COMMAND = (sys.executable, "-m", "deployments.cli")


@dataclass(frozen=True)
class Answer:
    """What came back."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as one JSON document."""
        return json.loads(self.out)

    @property
    def all(self) -> str:
        """Both streams, for the message of a failed assertion."""
        return f"exit code {self.code}\n--- out\n{self.out}\n--- err\n{self.err}"


class Commands:
    """Runs `fairlead` with a home of its own. `directory` is where it is run."""

    def __init__(self, home: Path, directory: Path, **variables: str) -> None:
        self.home, self.directory = home, directory
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(FORGOTTEN)}
        if MARK in os.environ:
            inherited[MARK] = os.environ[MARK]
        self.environment = {
            **inherited,
            "FAIRLEAD_HOME": str(home),
            "PYTHONPATH": str(CHECKOUT),
            "PYTHONWARNINGS": "default",
            **variables,
        }

    def run(self, *words: str, stdin: str = "", variables: Mapping[str, str] | None = None) -> Answer:
        """To its end."""
        done = subprocess.run(
            [*COMMAND, *words],
            cwd=self.directory,
            env={**self.environment, **(variables or {})},
            input=stdin.encode(),
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, *words: str) -> subprocess.Popen[str]:
        """In the background, both streams in one pipe."""
        return subprocess.Popen(
            [*COMMAND, *words],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
