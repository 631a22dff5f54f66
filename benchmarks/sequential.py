"""The same job as a plain sequential script: start one, wait until it accepts connections, start the next."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

LOOK = 0.01
PATIENCE = 60.0


def start_one_after_another(source: Path, *, count: int, seconds: float) -> float:
    """Seconds until all `count` servers answer; they are ended before this returns."""
    running: list[subprocess.Popen[bytes]] = []
    try:
        began = time.perf_counter()
        for _ in range(count):
            port = free_port()
            command = [sys.executable, str(source / "served.py"), str(port), f"{seconds:g}", "1"]
            running.append(subprocess.Popen(command, start_new_session=True))
            wait_for(port)
        return time.perf_counter() - began
    finally:
        for process in running:
            process.kill()
        for process in running:
            process.wait()


def free_port() -> int:
    """One that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    """Until it accepts a connection. Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing accepts connections on port {port}")
        time.sleep(LOOK)
