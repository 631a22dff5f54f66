"""The guard of the whole suite sees a process that a test forgot, even one that left its session and its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import time

from tests.conftest import survivors


def wait_until(*, seen: bool, pid: int) -> bool:
    """Bounded: a process is invisible for an instant while it becomes another program, and ends after the kill."""
    deadline = time.monotonic() + 60
    while (pid in survivors()) is not seen and time.monotonic() < deadline:
        time.sleep(0.01)
    return (pid in survivors()) is seen


def test_a_forgotten_process_is_seen_until_it_ends() -> None:
    command = ["sh", "-c", "setsid sleep 300 >/dev/null 2>&1 & echo $!"]
    pid = int(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    try:
        assert wait_until(seen=True, pid=pid)
    finally:
        os.kill(pid, signal.SIGKILL)
    assert wait_until(seen=False, pid=pid)
