"""The warm runner and Prefect's own process worker as processes that a test starts and stops."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deployments.adapters.control_plane.environment import settings_environment
from deployments.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 180.0


@contextmanager
def started(
    command: Sequence[str], log: Path, *, settings: Settings | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended, whatever happens. Its output is in `log`."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={
                **os.environ,
                **(settings_environment(settings) if settings else {}),
                "PYTHONPATH": str(ROOT),
                "PREFECT_WORKER_QUERY_SECONDS": "1",
                "PREFECT_WORKER_PREFETCH_SECONDS": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, then SIGKILL."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def warm_runner(folder: Path, *, pool: str, limit: int = 8) -> Iterator[subprocess.Popen[bytes]]:
    """A runner of the stand-in flows that is taking runs; its claims are under `folder`."""
    ready, log = folder / "ready", folder / "runner.log"
    command = [sys.executable, "-m", "flows.runner", "--claims", str(folder / "claims"), "--pool", pool]
    command += ["--limit", str(limit), "--ready", str(ready)]
    for option in ("--serve", "--preload"):
        command += [option, "tests.flows.stand_in"]
    ready.unlink(missing_ok=True)
    with started(command, log) as process:
        wait_until(ready.exists, "the runner takes runs", log, alive=process)
        yield process


@contextmanager
def process_worker(folder: Path, *, pool: str, settings: Settings | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """`prefect worker start` on the pool, in the home of the settings."""
    command = [sys.executable, "-m", "prefect", "worker", "start", "--type", "process", "--pool", pool]
    with started(command, folder / "worker.log", settings=settings) as process:
        yield process


def wait_until(
    holds: Callable[[], object], what: str, log: Path | None = None, *, alive: subprocess.Popen[bytes] | None = None
) -> None:
    """Poll until it holds; an AssertionError that names it, with the log's end, when it does not."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline or (alive is not None and alive.poll() is not None):
            tail = log.read_text(errors="replace")[-3000:] if log is not None and log.exists() else ""
            raise AssertionError(f"never: {what}\n{tail}")
        time.sleep(0.03)
