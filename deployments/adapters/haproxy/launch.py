"""Become HAProxy once no other HAProxy of this environment runs.

A supervisor that was killed leaves its HAProxy behind, and the next supervisor may start another. Two of them would
share the environment's sockets and answer with different weights. The lock is inherited by HAProxy and all its workers,
so the second one waits here until the last process of the first is gone, and then serves the file on disk.

Run as `python -m deployments.adapters.haproxy.launch LOCK PROGRAM ARGUMENT...`.
"""

from __future__ import annotations

import fcntl
import os
import sys


def main(lock: str, program: str, *arguments: str) -> None:
    """Wait for the lock, then replace this process."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.set_inheritable(descriptor, True)
    os.execv(program, [program, *arguments])


if __name__ == "__main__":
    main(*sys.argv[1:])
