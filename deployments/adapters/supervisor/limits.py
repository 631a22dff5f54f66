"""Limits of one process: by cgroup v2 where the machine lets us, by rlimits where it does not.

Without a cgroup, memory is held by RLIMIT_DATA and not by RLIMIT_AS: runtimes such as Go, Java and V8 reserve far more
address space than they use. It still counts what is reserved, for instance 8 MiB for the stack of each thread, and per
process. So it gets generous headroom: it stops a leak, not a few megabytes too many. There is no rlimit for a share of
a processor.
"""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

CGROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
PERIOD_MICROSECONDS = 100_000
HEADROOM_FACTOR = 2
HEADROOM_MB = 1024


@dataclass(frozen=True, slots=True)
class LimitSupport:
    """What can be limited here; `parent` is where cgroups of instances are made."""

    parent: Path | None
    memory: bool
    cpu: bool


@cache
def detect_limits(cgroups: Path = CGROUPS, own: Path = OWN) -> LimitSupport:
    """Ask for the controllers once, then look what a cgroup below our own can have.

    The kernel refuses controllers below a cgroup that has processes of its own, unless it is the root: then there are
    none for us.
    """
    parent = _parent(cgroups, own)
    if parent is not None:
        for controller in ("memory", "cpu"):
            with suppress(OSError):
                (parent / "cgroup.subtree_control").write_text(f"+{controller}", encoding="ascii")
    return look_at_limits(cgroups, own)


def look_at_limits(cgroups: Path = CGROUPS, own: Path = OWN) -> LimitSupport:
    """Look, changing nothing."""
    parent = _parent(cgroups, own)
    try:
        enabled = set((parent / "cgroup.subtree_control").read_text(encoding="ascii").split()) if parent else set()
    except OSError:
        enabled = set()
    if parent is None or not enabled & {"memory", "cpu"} or not os.access(parent, os.W_OK):
        return LimitSupport(None, memory=False, cpu=False)
    return LimitSupport(parent, memory="memory" in enabled, cpu="cpu" in enabled)


def _parent(cgroups: Path, own: Path) -> Path | None:
    """Our own cgroup in the unified hierarchy."""
    with suppress(OSError):
        for line in own.read_text(encoding="utf-8").splitlines():
            if line.startswith("0::"):
                return cgroups / line.removeprefix("0::").lstrip("/")
    return None


def join_cgroup(key: str, *, memory_mb: int | None, cpu: float | None, support: LimitSupport) -> None:
    """Called by the process itself before it becomes its program: move into a cgroup with these limits."""
    if support.parent is None or (memory_mb is None and cpu is None):
        return
    group = _group(key, support.parent)
    group.mkdir(exist_ok=True)
    if memory_mb is not None and support.memory:
        (group / "memory.max").write_text(str(memory_mb * 1024 * 1024), encoding="ascii")
    if cpu is not None and support.cpu:
        (group / "cpu.max").write_text(f"{int(cpu * PERIOD_MICROSECONDS)} {PERIOD_MICROSECONDS}", encoding="ascii")
    (group / "cgroup.procs").write_text("0", encoding="ascii")


def remove_cgroup(key: str, support: LimitSupport) -> None:
    """Remove the empty cgroup of a process that ended."""
    if support.parent is not None:
        with suppress(OSError):
            _group(key, support.parent).rmdir()


def apply_rlimits(*, memory_mb: int | None, open_files: int | None, support: LimitSupport) -> None:
    """Called by the process itself: what the cgroup does not hold. Hard limits are never raised."""
    if memory_mb is not None and not support.memory:
        _lower(resource.RLIMIT_DATA, (memory_mb * HEADROOM_FACTOR + HEADROOM_MB) * 1024 * 1024)
    if open_files is not None:
        _lower(resource.RLIMIT_NOFILE, open_files)


def _lower(kind: int, wanted: int) -> None:
    _soft, hard = resource.getrlimit(kind)
    value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (value, value))


def _group(key: str, parent: Path) -> Path:
    return parent / f"fairlead-{quote(key, safe='')}"
