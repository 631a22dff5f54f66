"""Which process is meant, beyond a pid that the kernel gives to another one later."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PROC = Path("/proc")
LEADER_VARIABLE = "FAIRLEAD_PROCESS"
"""The number of the process that the supervisor itself started, in its environment and in that of all it starts."""


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process on this boot of this machine: `started` is in clock ticks since boot (proc(5), field 22)."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """The identity of a living process; None when there is none, or only a zombie."""
        try:
            text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        fields = text.rpartition(")")[2].split()
        if fields[0] in ("Z", "X"):
            return None
        return cls(pid=pid, started=int(fields[19]), boot=boot_id())

    def is_alive(self) -> bool:
        """Whether this very process still runs."""
        return ProcessIdentity.of(self.pid) == self

    def open_pidfd(self) -> int | None:
        """A descriptor that becomes readable when this process ends; None when it is gone or the kernel is too old."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except OSError:
            return None
        if self.is_alive():
            return descriptor
        os.close(descriptor)
        return None

    def kill(self) -> None:
        """End this process and no other, even when its pid is given away meanwhile."""
        descriptor = self.open_pidfd()
        if descriptor is None:
            return
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        except ProcessLookupError:
            return
        finally:
            os.close(descriptor)


@cache
def boot_id() -> str:
    """Tells boots apart, so that a record from before a reboot never matches."""
    return (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def signal_group(leader: int, number: signal.Signals) -> None:
    """Signal a group whose leader may have ended while members live on."""
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        return


def find_by_environment(wanted: dict[str, str]) -> list[ProcessIdentity]:
    """Living processes of ours that were started with all these variables."""
    needles = {f"{name}={value}".encode() for name, value in wanted.items()}
    found = []
    for entry in PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        identity = ProcessIdentity.of(int(entry.name)) if needles <= _variables(int(entry.name)) else None
        if identity is not None:
            found.append(identity)
    return found


def variables_of(pid: int) -> dict[str, str]:
    """The environment that a process of ours was started with; empty when it is gone."""
    pairs = (entry.decode(errors="surrogateescape").partition("=") for entry in _variables(pid))
    return {name: value for name, _, value in pairs if name}


def _variables(pid: int) -> set[bytes]:
    try:
        return set((PROC / str(pid) / "environ").read_bytes().split(b"\0"))
    except OSError:
        return set()


def leader_of(family: list[ProcessIdentity]) -> ProcessIdentity | None:
    """The one that the supervisor started: HAProxy's master and no worker, the runner and no run that outlived it.

    What it starts inherits the number of its process with all other variables, and has another number itself.
    """
    return next((one for one in family if variables_of(one.pid).get(LEADER_VARIABLE) == str(one.pid)), None)
