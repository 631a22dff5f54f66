"""The same job as a plain sequential script: start one, wait until it accepts connections, start the next.

`python -m benchmarks.sequential SOURCE COUNT SECONDS` prints how many seconds it took.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from subprocess import PIPE

ROOT = Path(__file__).resolve().parents[1]
LOOK = 0.02
PATIENCE = 60.0


def run_scripts(source: Path, counts: Sequence[int], *, seconds: float) -> list[float]:
    """What the script takes for each count. All run at once, for they wait nearly all of the time."""
    command = [sys.executable, "-m", "benchmarks.sequential", str(source)]
    scripts = [subprocess.Popen([*command, str(n), f"{seconds:g}"], cwd=ROOT, stdout=PIPE) for n in counts]
    try:
        return [float(json.loads(script.communicate()[0])) for script in scripts]
    finally:
        for script in scripts:
            script.terminate()
        for script in scripts:
            script.wait()
            if script.stdout:
                script.stdout.close()


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


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(start_one_after_another(Path(sys.argv[1]), count=int(sys.argv[2]), seconds=float(sys.argv[3])))
