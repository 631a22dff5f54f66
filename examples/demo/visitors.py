"""The load's process as the story holds it: started, watched, ended."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE

from examples.demo.accounting import Books, read_books
from examples.demo.fairlead import ROOT

START_PATIENCE = 120.0
END_PATIENCE = 120.0
LOOK = 0.1


class LoadLost(Exception):
    """The load ended before it was told to, so nobody knows what visitors saw."""


@dataclass(slots=True)
class Visitors:
    """A running load."""

    process: subprocess.Popen[str]
    ledger: Path

    @classmethod
    def arrive(cls, urls: Mapping[str, str], ledger: Path) -> Visitors:
        """Start them; they keep coming until `leave`. Ctrl-C in the terminal is not for them."""
        command = [sys.executable, "-m", "examples.demo.load", str(ledger), json.dumps(dict(urls))]
        process = subprocess.Popen(command, cwd=ROOT, stdin=PIPE, stdout=PIPE, text=True, start_new_session=True)
        return cls(process, ledger)

    def wait_for(self, requests: int) -> None:
        """Return when this many more were answered. Raises LoadLost."""
        deadline = time.monotonic() + START_PATIENCE
        target = self.answered() + requests
        while self.answered() < target:
            if self.process.poll() is not None:
                raise LoadLost(f"The load ended by itself with exit code {self.process.returncode}.")
            if time.monotonic() > deadline:
                raise LoadLost(f"Visitors got {self.answered()} answers, not {target}, in {START_PATIENCE:.0f} s.")
            time.sleep(LOOK)

    def answered(self) -> int:
        """Requests that are over, good or bad."""
        return self.ledger.read_bytes().count(b"\n") if self.ledger.exists() else 0

    def leave(self) -> Books:
        """Send nothing new, wait for what is in flight, add up. Raises LoadLost."""
        try:
            told, _ = self.process.communicate(timeout=END_PATIENCE)
        except subprocess.TimeoutExpired:
            self.end()
            raise LoadLost(f"The load did not end within {END_PATIENCE:.0f} s.") from None
        if self.process.returncode or not told.strip().isdigit():
            raise LoadLost(f"The load ended with exit code {self.process.returncode}.")
        return read_books(self.ledger, int(told))

    def end(self) -> None:
        """At once, whatever is in flight."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()
