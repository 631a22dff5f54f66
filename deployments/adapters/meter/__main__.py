"""The meter's process: reads the proxy's log from a pipe, and writes what it counted to disk twice a second.

What it does not read waits in the pipe, also while the meter restarts. What a killed meter had read and not written is
lost, and shows as lost: the counters of HAProxy know better.

Run as `python -m deployments.adapters.meter DIRECTORY INSTANCES PIPE PROXY`: where readings go, the file that names the
revision of each instance, the pipe into which HAProxy logs requests, and HAProxy's master socket.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import sys
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import FrameType

from deployments.adapters.haproxy.runtime import Runtime
from deployments.adapters.meter.journal import Flush, Journal, lock_path
from deployments.adapters.meter.losses import Losses
from deployments.adapters.meter.tally import Tally

FLUSH_SECONDS = 0.5
LOOK_SECONDS = 1.0
_READ_BYTES = 256 * 1024


class Revisions:
    """The revision of each instance, read again when one is not known."""

    def __init__(self, path: Path) -> None:
        """Lines of JSON with `instance` and `revision`."""
        self._path = path
        self._known: dict[str, str] = {}
        self._offset = 0

    def find(self, instance: str) -> str:
        """The revision, or "" for an instance that nobody attached."""
        if instance not in self._known:
            self._read_on()
        return self._known.get(instance, "")

    def _read_on(self) -> None:
        with suppress(FileNotFoundError), self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                endpoint = json.loads(line)
                self._known[endpoint["instance"]] = endpoint["revision"]


class MeterProcess:
    """One loop: read what came, and write at intervals."""

    def __init__(self, directory: Path, instances: Path, pipe: Path, proxy: Path) -> None:
        """Goes on where the meter before it stopped."""
        self._journal = Journal(directory)
        last = next(self._journal.newest_first(), None) or Flush(written=0.0)
        self._tally = Tally(Revisions(instances).find, counted=last.counted)
        runtime = Runtime(proxy, timeout=timedelta(seconds=2))
        self._losses = Losses(runtime, self._tally.counted, answered=last.answered, lost_by_ended=last.lost_by_ended)
        self._lost = last.lost
        self._pipe = _open_pipe(pipe)
        self._torn = b""
        self._is_asked_to_stop = False
        # Python resumes a wait that a signal interrupted; a byte in this pipe ends it.
        self._wake_up, signalled = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(signalled)
        signal.signal(signal.SIGTERM, self._stop)

    def run(self) -> None:
        """Read and write until asked to stop."""
        next_flush = next_look = time.monotonic()
        while not self._is_asked_to_stop:
            self._read(max(0.0, min(next_flush, next_look) - time.monotonic()))
            now = time.monotonic()
            if now >= next_flush:
                self._flush()
                next_flush = now + FLUSH_SECONDS
            if now >= next_look:
                self._losses.look()
                next_look = now + LOOK_SECONDS
        self._read(0.0)
        self._flush()

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._is_asked_to_stop = True

    def _read(self, patience: float) -> None:
        """Wait for the first bytes, then take what there is."""
        select.select([self._pipe, self._wake_up], [], [], patience)
        with suppress(BlockingIOError):
            while received := os.read(self._pipe, _READ_BYTES):
                *lines, self._torn = (self._torn + received).split(b"\n")
                self._tally.add(lines)

    def _flush(self) -> None:
        """Write what is new. A full disk keeps it in memory until there is space."""
        lost = self._losses.total()
        if not self._tally.rows and lost == self._lost:
            return
        flush = Flush(
            written=time.time(),
            rows=self._tally.rows,
            counted=self._tally.counted,
            answered=self._losses.answered,
            lost_by_ended=self._losses.lost_by_ended,
            lost=lost,
        )
        try:
            self._journal.append(flush)
        except OSError as problem:
            sys.stderr.write(f"fairlead meter: {problem}\n")
            return
        self._lost = lost
        self._tally.forget_rows()


def _open_pipe(path: Path) -> int:
    """Open for writing, too: then the pipe keeps what it holds while HAProxy restarts, and never ends."""
    with suppress(FileExistsError):
        os.mkfifo(path, 0o600)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK)


def main(directory: str, instances: str, pipe: str, proxy: str) -> None:
    """Run until SIGTERM. A second meter of the same environment waits until the first ended."""
    Path(directory).mkdir(parents=True, exist_ok=True, mode=0o700)
    with lock_path(Path(directory)).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        MeterProcess(Path(directory), Path(instances), Path(pipe), Path(proxy)).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
