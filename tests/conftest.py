"""What every test stands on: a short directory of its own, an environment that calls nobody, no process left behind.

The environment is set when this file is imported, before any test module can import Prefect.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

# A shell that starts the tests in the background makes them ignore these, and every process that they start would too.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

pytest_plugins = ["tests.fakes.database", "tests.fakes.prefect_server"]

# Short, because the path of a Unix socket ends at 107 bytes and the checkout's own path may be long.
RUN_DIRECTORY = Path(tempfile.mkdtemp(prefix="fl-", dir="/tmp"))
MARK = f"FAIRLEAD_TEST_SESSION={uuid.uuid4()}"
PATIENCE_SECONDS = 30.0


def set_environment() -> None:
    """Children inherit it: no telemetry, and no trace in the home of the person who runs the tests."""
    # The data plane and PostgreSQL may run as somebody else, who must be able to come through.
    RUN_DIRECTORY.chmod(0o755)
    name, value = MARK.split("=")
    os.environ |= {
        name: value,
        "DO_NOT_TRACK": "1",
        "GX_ANALYTICS_ENABLED": "false",
        "PREFECT_HOME": str(RUN_DIRECTORY / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PYTHONUTF8": "1",
        "XDG_RUNTIME_DIR": str(RUN_DIRECTORY),
    }
    if not os.access(os.environ.get("HOME") or "/nowhere", os.W_OK):
        os.environ["HOME"] = str(RUN_DIRECTORY)


set_environment()


def pytest_unconfigure() -> None:
    """The directory goes last, after every fixture."""
    shutil.rmtree(RUN_DIRECTORY, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def nothing_left_running() -> Iterator[None]:
    """Fail the session if a process that it started outlives every fixture; end it all the same."""
    yield
    deadline = time.monotonic() + PATIENCE_SECONDS
    while survivors() and time.monotonic() < deadline:
        time.sleep(0.05)
    left = survivors()
    for pid in left:
        end(pid)
    assert not left, f"processes outlived the tests that started them; stop them in a fixture: {left}"


@pytest.fixture(scope="session")
def run_directory(nothing_left_running: None) -> Path:
    """A short directory for this session's sockets, data and logs; removed at its end."""
    return RUN_DIRECTORY


def survivors() -> dict[int, str]:
    """Command by pid of every living process that carries this session's mark, apart from this one."""
    carriers = {int(folder.name): command(folder) for folder in Path("/proc").glob("[0-9]*") if is_marked(folder)}
    return {pid: words for pid, words in carriers.items() if pid != os.getpid()}


def is_marked(folder: Path) -> bool:
    """Whether a process inherited the mark; one that just ended, or is somebody else's, did not."""
    try:
        return MARK.encode() in (folder / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def command(folder: Path) -> str:
    """Its words, for the message."""
    try:
        return (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()[:200]
    except OSError:
        return "(ended)"


def end(pid: int) -> None:
    """At once: the test that should have asked politely did not."""
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        return
