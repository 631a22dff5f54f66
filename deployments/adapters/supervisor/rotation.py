"""Keeps logs of running programs from filling the disk."""

from __future__ import annotations

import shutil
from pathlib import Path

LARGEST_BYTES = 10 * 1024 * 1024
KEPT = 3


def rotate(log: Path, *, largest_bytes: int = LARGEST_BYTES, kept: int = KEPT) -> bool:
    """Copy a large log to `.1` (older ones move on) and empty it; whether it did.

    The program holds the file open for appending, so it is emptied and not renamed. Lines written between copy and
    emptying are lost: that is the price of a log that needs no pipe to a living supervisor.
    """
    try:
        if log.stat().st_size <= largest_bytes:
            return False
        for number in range(kept - 1, 0, -1):
            older = numbered(log, number)
            if older.exists():
                older.replace(numbered(log, number + 1))
        shutil.copyfile(log, numbered(log, 1))
        with log.open("r+b") as file:
            file.truncate(0)
    except OSError:
        return False
    return True


def numbered(log: Path, number: int) -> Path:
    """`api.log` -> `api.log.1`."""
    return log.with_name(f"{log.name}.{number}")
