"""Runs what a build runs: nothing inherited, in a process group of its own, with a deadline and a log."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deployments.adapters.supervisor.identity import find_by_environment
from deployments.domain.errors import BuildFailed, DiskFull
from deployments.domain.ports import STEP_VARIABLE

MARK = "FAIRLEAD_BUILD"
END_SECONDS = 5.0
TAIL_LINES = 20
TAIL_BYTES = 32 * 1024
NO_SPACE = "No space left on device"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every command of one build has in common. `deadline` is on the monotonic clock."""

    service: str
    directory: Path
    environment: Mapping[str, str]
    log: Path
    deadline: float
    mark: str
    deployment: str = ""

    def run(self, command: Sequence[str], *, purpose: str) -> None:
        """Run one to its end. Raises BuildFailed with the log's last lines, or DiskFull."""
        with self.log.open("ab") as log:
            began_at = log.tell()
            log.write(f"$ {' '.join(command)}\n".encode())
            log.flush()
            code = self._run(command, log.fileno(), purpose)
        if code != 0:
            tail = tail_of(self.log, began_at)
            if NO_SPACE in tail:
                raise DiskFull(f"{self.service}: {purpose} found no space left.", remedy="Make room.", tail=tail)
            raise BuildFailed(
                f"{self.service}: {purpose} exited with {code}:\n{tail}",
                remedy=f"The whole output is in {self.log}.",
                service=self.service,
                exit_code=code,
                tail=tail,
            )

    def _run(self, command: Sequence[str], output: int, purpose: str) -> int:
        try:
            process = subprocess.Popen(
                list(command),
                cwd=self.directory,
                env={**self.environment, MARK: self.mark, STEP_VARIABLE: self.deployment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise BuildFailed(
                f"{self.service}: {purpose} could not be run: {command[0]}: {error.strerror}.", service=self.service
            ) from error
        try:
            return process.wait(max(0.0, self.deadline - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            end_group(process, signal.SIGTERM)
            raise BuildFailed(
                f"{self.service}: {purpose} was not done in time:\n{tail_of(self.log)}",
                remedy=f"Give it more time, or look at {self.log}.",
                service=self.service,
            ) from error
        finally:
            end_group(process, signal.SIGKILL)


def end_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal what is left of the group and wait for its leader."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
    with suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS)


def end_leftovers(mark: str) -> None:
    """End commands of a build whose builder was killed: they would go on writing into the new one."""
    deadline = time.monotonic() + END_SECONDS
    while left := find_by_environment({MARK: mark}):
        for identity in left:
            identity.kill()
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)


def tail_of(log: Path, since: int = 0) -> str:
    """The last lines of a log."""
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(since, size - TAIL_BYTES))
        return "\n".join(file.read().decode(errors="replace").strip().splitlines()[-TAIL_LINES:])
