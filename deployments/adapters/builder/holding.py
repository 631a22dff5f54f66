"""A lock that a stopped process does not keep: whoever waits looks at who holds it.

A killed holder holds nothing, because the kernel gives its lock back. A holder that was stopped (SIGSTOP, or ctrl-Z at
a terminal) keeps it for as long as somebody likes. Its lease ran out meanwhile, and all it could still do is write into
what the waiter is about to make. So it is ended, with the commands that it left running.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from deployments.adapters.supervisor.identity import PROC, ProcessIdentity
from deployments.domain.errors import Unavailable

STOPPED_SECONDS = 10.0
"""Longer than a lease: whoever is stopped for so long has lost it."""

_POLL_SECONDS = 0.05


@contextmanager
def held(path: Path, seconds: float, *, purpose: str, end_leftovers: Callable[[], None]) -> Iterator[None]:
    """One process at a time. `end_leftovers` ends what a stopped holder started. Raises Unavailable after `seconds`."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + seconds
    stopped: tuple[ProcessIdentity, float] | None = None
    try:
        while not _try_lock(lock):
            now = time.monotonic()
            if now > deadline:
                raise Unavailable(f"another process has been {purpose} for {seconds:.0f} s.")
            holder = _stopped_holder(lock)
            if holder is None or stopped is None or stopped[0] != holder:
                stopped = (holder, now) if holder else None
            elif now - stopped[1] >= STOPPED_SECONDS:
                end_leftovers()
                holder.kill()
            time.sleep(_POLL_SECONDS)
        _sign(lock)
        yield
    finally:
        os.close(lock)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(descriptor: int) -> None:
    """Say who holds it."""
    identity = ProcessIdentity.of(os.getpid())
    assert identity is not None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(asdict(identity)).encode(), 0)


def _stopped_holder(descriptor: int) -> ProcessIdentity | None:
    """The process that signed, while it is stopped and ours to end."""
    try:
        holder = ProcessIdentity(**json.loads(os.pread(descriptor, 1024, 0)))
        directory = PROC / str(holder.pid)
        is_ours = directory.stat().st_uid == os.geteuid()
        state = (directory / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except (OSError, ValueError, TypeError):
        return None
    return holder if is_ours and state == "T" and holder.is_alive() else None
