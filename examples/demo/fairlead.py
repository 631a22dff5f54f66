"""Fairlead as a user has it: its command line, and a home of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
WHEELHOUSE = ROOT / ".wheelhouse"
TAKEN_BACK = 6
"""The exit code of `fairlead deploy` when a release failed and was taken back."""


class Terminated(KeyboardInterrupt):
    """Somebody ended the story by SIGTERM, which its commands did not get."""


class CommandFailed(Exception):
    """A command of Fairlead ended in a way that the story does not have."""


@dataclass(slots=True)
class Fairlead:
    """Runs `fairlead` with a home under the directory of temporary files, short enough for sockets."""

    home: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="fl-demo-", dir=short_directory())))

    @property
    def environment(self) -> Mapping[str, str]:
        """The user's own, with the demo's home and wheelhouse; other settings of Fairlead stay out of it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FAIRLEAD_", "PREFECT_"))}
        return {**kept, "FAIRLEAD_HOME": str(self.home), "FAIRLEAD_WHEELHOUSE": str(WHEELHOUSE)}

    def show(self, *words: str, expect: Sequence[int] = (0,)) -> int:
        """Run it before the user's eyes. Raises CommandFailed for an exit code that is not expected.

        On Ctrl-C the command, which got it too, undoes what it did before it ends: it is waited for.
        """
        process = subprocess.Popen(command(words), env=self.environment, stdin=subprocess.DEVNULL)
        try:
            code = process.wait()
        except Terminated:
            process.terminate()
            process.wait()
            raise
        except KeyboardInterrupt:
            process.wait()
            raise
        if code not in expect:
            raise CommandFailed(f"`fairlead {' '.join(words)}` ended with exit code {code}.")
        return code

    def ask(self, *words: str) -> Any:
        """Its answer with --json. Raises CommandFailed."""
        done = subprocess.run(
            command((*words, "--json")),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CommandFailed(f"`fairlead {' '.join(words)}` ended with exit code {done.returncode}: {done.stderr}")
        return json.loads(done.stdout)

    def remove(self) -> None:
        """Stop everything that was started, and forget the home."""
        subprocess.run(
            command(("destroy", "--yes", "--everything", "--force")),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        shutil.rmtree(self.home, ignore_errors=True)


def command(words: Sequence[str]) -> list[str]:
    """The console script, by the interpreter that runs us: no PATH is needed."""
    return [sys.executable, "-m", "deployments.cli", *words]


def short_directory() -> str | None:
    """A socket's path has 107 bytes at most; TMPDIR may be long."""
    return "/tmp" if os.access("/tmp", os.W_OK) else None
