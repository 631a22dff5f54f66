"""What the machine offers, from the kernel's own files."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from deployments.adapters.supervisor.identity import find_by_environment
from deployments.adapters.supervisor.limits import look_at_limits
from deployments.domain.ports import STEP_VARIABLE, MachineFacts

MEMORY = Path("/proc/meminfo")
KIB_PER_MIB = 1024
BYTES_PER_MIB = 1024 * 1024
END_SECONDS = 5.0


class LocalMachine:
    """Implements `deployments.domain.ports.Machine`."""

    def __init__(self, state_directory: Path) -> None:
        """Free disk space is that of the disk which holds, or will hold, the state directory."""
        self._state_directory = state_directory.absolute()

    def observe(self) -> MachineFacts:
        """Look once; changes nothing.

        Limits count as possible when they hold an instance exactly, by a cgroup. Without one, memory has only a coarse
        limit (see supervisor/limits.py).
        """
        memory = _memory_mb()
        support = look_at_limits()
        return MachineFacts(
            cpus=len(os.sched_getaffinity(0)),
            memory_total_mb=memory["MemTotal"],
            memory_available_mb=memory["MemAvailable"],
            disk_free_mb=shutil.disk_usage(_nearest(self._state_directory)).free // BYTES_PER_MIB,
            can_limit_memory=support.memory,
            can_limit_cpu=support.cpu,
        )

    def end_step_processes(self, deployment: str) -> int:
        """By the variable that they and their children carry, until there are none: one may be forking another."""
        ended = set()
        deadline = time.monotonic() + END_SECONDS
        while (left := find_by_environment({STEP_VARIABLE: deployment})) and time.monotonic() < deadline:
            for identity in left:
                identity.kill()
            ended.update(left)
            time.sleep(0.01)
        return len(ended)


def _memory_mb() -> dict[str, int]:
    lines = (line.split() for line in MEMORY.read_text(encoding="ascii").splitlines())
    return {words[0].rstrip(":"): int(words[1]) // KIB_PER_MIB for words in lines}


def _nearest(directory: Path) -> Path:
    return next(path for path in (directory, *directory.parents) if path.exists())
