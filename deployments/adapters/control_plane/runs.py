"""The runs that the warm runner has claimed, as files; a run is alive as long as its process holds the file's lock.

A lock is released by the kernel however its holder ends, so it cannot be stale as a process number can. The story of
one run: the runner creates the file before it claims the run, the run's own process locks it as its first act and
writes its number into it, and whoever finds the file unlocked concludes the run and removes the file.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ClaimedRun:
    """One claimed flow run. `pid` is None until its process has started."""

    flow_run_id: UUID
    entrypoint: str
    pid: int | None


class ClaimedRuns:
    """The folder of claimed runs of one runner."""

    def __init__(self, folder: Path) -> None:
        """`folder` is made when the first run is claimed."""
        self._folder = folder

    def claim(self, flow_run_id: UUID, entrypoint: str) -> bool:
        """Write the claim down; False when there is one already."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self._folder / f".{flow_run_id}.{os.getpid()}"
        draft.write_text(json.dumps({"entrypoint": entrypoint, "pid": None}))
        try:
            os.link(draft, self._path(flow_run_id))
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        return True

    def forget(self, flow_run_id: UUID) -> None:
        """Remove the claim; one that is not there is fine."""
        self._path(flow_run_id).unlink(missing_ok=True)

    def all(self) -> list[ClaimedRun]:
        """Every claim, those of a runner that was killed included."""
        if not self._folder.is_dir():
            return []
        return [run for path in sorted(self._folder.iterdir()) if (run := _read(path)) is not None]

    def is_alive(self, flow_run_id: UUID) -> bool:
        """Whether a process is executing this run."""
        try:
            descriptor = os.open(self._path(flow_run_id), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def alive(self) -> list[ClaimedRun]:
        """The claims whose process runs."""
        return [run for run in self.all() if self.is_alive(run.flow_run_id)]

    @contextmanager
    def held(self, flow_run_id: UUID) -> Iterator[bool]:
        """Hold the run's lock as the process that executes it; False when another does, or the claim is gone."""
        try:
            descriptor = os.open(self._path(flow_run_id), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            yield False
            return
        if not _lock(descriptor):
            os.close(descriptor)
            yield False
            return
        try:
            _write_pid(descriptor)
            yield True
        finally:
            os.close(descriptor)

    def _path(self, flow_run_id: UUID) -> Path:
        return self._folder / str(flow_run_id)


def _lock(descriptor: int) -> bool:
    """Lock for writing; somebody who only looks holds the lock for a moment, hence the second."""
    deadline = time.monotonic() + 1
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        else:
            return True


def _write_pid(descriptor: int) -> None:
    """In one write that is at least as long as what was there: the file stays the one that is locked."""
    claim = os.pread(descriptor, 65536, 0)
    os.pwrite(descriptor, json.dumps({**json.loads(claim), "pid": os.getpid()}).encode().ljust(len(claim)), 0)


def _read(path: Path) -> ClaimedRun | None:
    """None for drafts, for foreign files and for a claim that was removed meanwhile."""
    try:
        flow_run_id = UUID(path.name)
        claim = json.loads(path.read_text())
    except (ValueError, OSError):
        return None
    return ClaimedRun(flow_run_id=flow_run_id, entrypoint=claim["entrypoint"], pid=claim["pid"])
