"""Become HAProxy once no other HAProxy of this environment runs.

A supervisor that was killed leaves its HAProxy behind, and the next supervisor may start another. Two of them would
share the environment's sockets and answer with different weights. The lock is inherited by HAProxy and all its workers,
so the second one waits here until the last process of the first is gone, and then serves the file on disk.

HAProxy also inherits the pipe into which it logs requests. It is open for reading too, so that it neither breaks nor
loses what it holds while no meter reads: whichever meter comes next reads on, up to the size of the pipe.

Run as `python -m deployments.adapters.haproxy.launch LOCK PIPE PROGRAM ARGUMENT...`.
"""

from __future__ import annotations

import fcntl
import os
import sys
from contextlib import suppress

from deployments.adapters.haproxy.rendering import LOG_DESCRIPTOR

_PIPE_BYTES = 1024 * 1024  # the most that an ordinary user gets; about 25,000 requests


def main(lock: str, pipe: str, program: str, *arguments: str) -> None:
    """Wait for the lock, then replace this process."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.set_inheritable(descriptor, True)
    _open_pipe(pipe)
    os.execv(program, [program, *arguments])


def _open_pipe(path: str) -> None:
    with suppress(FileExistsError):
        os.mkfifo(path, 0o600)
    pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    with suppress(PermissionError):  # beyond what this machine grants: the default of 64 KiB then
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    os.dup2(pipe, LOG_DESCRIPTOR, inheritable=True)
    os.close(pipe)


if __name__ == "__main__":
    main(*sys.argv[1:])
