"""Finds the logs of instances, reads their ends and follows them through rotation."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from deployments.cli.output import Output
from deployments.domain.errors import NotFound, Refused
from deployments.domain.ports import InstanceState, Supervisor

BLOCK = 65_536
LONGEST_LINE = 1_000_000
LOOK_SECONDS = 0.2
FIND_SECONDS = 2.0
ALIVE = (InstanceState.RUNNING, InstanceState.STARTING)


class InstanceLogs:
    """The logs below `DIRECTORY/ENVIRONMENT/SERVICE/INSTANCE.log`."""

    def __init__(self, directory: Path, supervisor: Supervisor) -> None:
        """`supervisor` says which instances live."""
        self._directory, self._supervisor = directory, supervisor

    def find(self, name: str, environment: str | None = None) -> list[Path]:
        """The logs of an instance or a service. Raises NotFound, or Refused when several environments have it."""
        if "/" in name or name in ("", ".", ".."):
            raise Refused(f"{name!r} is not a name.", remedy="Name an instance or a service; see `fairlead status`.")
        known = [log for log in self._directory.glob("*/*/*.log") if environment in (None, log.parent.parent.name)]
        found = [log for log in known if log.stem == name] or [log for log in known if log.parent.name == name]
        if not found:
            where = f" in {environment}" if environment else ""
            raise NotFound(
                f"There is no log of an instance or service named {name}{where}.",
                remedy="`fairlead status` lists services and instances.",
            )
        environments = sorted({log.parent.parent.name for log in found})
        if len(environments) > 1:
            raise Refused(
                f"{name} has logs in several environments: {', '.join(environments)}.",
                remedy=f"Name one: --environment {environments[0]}.",
            )
        return self._living(found, environments[0])

    def _living(self, logs: list[Path], environment: str) -> list[Path]:
        """Of those that live; when none does, of the newest."""
        reports = self._supervisor.observe_all(environment) if len(logs) > 1 else ()
        alive = {report.instance for report in reports if report.state in ALIVE}
        newest = max(logs, key=lambda log: log.stat().st_mtime)
        return sorted(log for log in logs if log.stem in alive) or [newest]


def last_lines(log: Path, count: int) -> list[str]:
    """The end of a file, read from behind; what came before a rotation follows on from `.1`."""
    if count == 0:
        return []
    lines = _last_lines(log, count)
    older = log.with_name(f"{log.name}.1")
    if len(lines) < count and older.exists():
        lines = [*_last_lines(older, count - len(lines)), *lines]
    return lines


def _last_lines(log: Path, count: int) -> list[str]:
    content = b""
    with log.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        while position > 0 and content.count(b"\n") <= count and len(content) < count * LONGEST_LINE:
            size = min(BLOCK, position)
            position = file.seek(position - size)
            content = file.read(size) + content
    return [text(line) for line in content.splitlines()[-count:]]


def follow(find: Callable[[], Sequence[Path]], chosen: Sequence[Path], output: Output) -> None:
    """Lines as they are written, of instances that come later too, until nobody reads."""
    tails = {log: Tail(log) for log in chosen}
    look_again = time.monotonic() + FIND_SECONDS
    try:
        while output.has_reader:
            for log, tail in tails.items():
                for line in tail.new_lines():
                    output.raw(f"{log.stem} | {line}" if len(tails) > 1 else line)
            if time.monotonic() > look_again:
                for log in find():
                    if log not in tails:
                        tails[log] = Tail(log, from_start=True)
                look_again = time.monotonic() + FIND_SECONDS
            time.sleep(LOOK_SECONDS)
    finally:
        for tail in tails.values():
            tail.close()


class Tail:
    """A file that is read as it grows. One that became shorter was rotated, and is read from its start."""

    def __init__(self, log: Path, *, from_start: bool = False) -> None:
        self._file: BinaryIO = log.open("rb")
        self._position = 0 if from_start else self._file.seek(0, os.SEEK_END)
        self._rest = b""

    def new_lines(self) -> list[str]:
        """Complete lines since the last look."""
        if os.fstat(self._file.fileno()).st_size < self._position:
            self._position = 0
        self._file.seek(self._position)
        content = self._file.read(LONGEST_LINE)
        self._position += len(content)
        *lines, self._rest = (self._rest + content).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            lines, self._rest = [*lines, self._rest], b""
        return [text(line) for line in lines]

    def close(self) -> None:
        """Nothing more is read."""
        self._file.close()


def text(line: bytes) -> str:
    """Programs write what they like."""
    return line.decode("utf-8", "backslashreplace").rstrip("\r")
