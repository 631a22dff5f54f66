"""A client of HAProxy's master socket: one command a connection, every connection with a deadline."""

from __future__ import annotations

import csv
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from deployments.adapters.haproxy.waiting import last_within
from deployments.domain.errors import ProxyUnavailable

CURRENT = "@1"
FRONTENDS, SERVERS = 1, 4
_RELOAD_TIMEOUT = timedelta(seconds=30)
_REFUSED_PATIENCE = timedelta(seconds=1)
_CUT_OFF_PATIENCE = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class ReloadAnswer:
    """Whether the new worker serves, and HAProxy's own words."""

    is_done: bool
    log: str

    @property
    def is_refused(self) -> bool:
        """Whether HAProxy said so; no answer at all says nothing."""
        return self.log.startswith("Success=0")


@dataclass(frozen=True, slots=True)
class Processes:
    """The master and the workers that a reload left to their last connections, as prefixes for `ask`."""

    master: int
    old_workers: tuple[str, ...]


class Runtime:
    """Speaks to the master, and through it to the current worker and to old ones."""

    def __init__(self, socket_path: Path, *, timeout: timedelta = timedelta(seconds=10)) -> None:
        """`timeout` bounds one command."""
        self._path = socket_path
        self._timeout = timeout

    def ask(self, command: str, *, worker: str = CURRENT) -> str:
        """The answer of one worker; empty when it was cut off. Raises ProxyUnavailable."""
        return self._ask_patiently(f"{worker} {command}")

    def ask_again(self, command: str, *, worker: str = CURRENT) -> str:
        """The same for a question that may be asked twice: again when it was cut off. Raises ProxyUnavailable."""
        return last_within(lambda: self.ask(command, worker=worker), bool, _CUT_OFF_PATIENCE)

    def answers(self) -> bool:
        """Whether a master with a current worker answers at this moment."""
        try:
            return "Pid:" in self._exchange(f"{CURRENT} show info", self._timeout)
        except ProxyUnavailable:
            return False

    def is_there(self) -> bool:
        """The same, however a reload keeps it from answering for a moment."""
        try:
            return "Pid:" in self.ask_again("show info")
        except ProxyUnavailable:
            return False

    def processes(self) -> Processes:
        """Who is there. Raises ProxyUnavailable."""
        master, old, section = 0, [], ""
        for line in last_within(lambda: self._ask_patiently("show proc"), bool, _CUT_OFF_PATIENCE).splitlines():
            if line.startswith("#"):
                section = line
            elif line.split()[1:2] == ["master"]:
                master = int(line.split()[0])
            elif section == "# old workers" and line.strip():
                old.append(f"@!{line.split()[0]}")
        if not master:
            raise ProxyUnavailable("The proxy's master does not list itself.", socket=str(self._path))
        return Processes(master=master, old_workers=tuple(old))

    def reload(self) -> ReloadAnswer:
        """Start a worker from the file on disk; answers when it serves or has failed. Raises ProxyUnavailable."""
        answer = self._ask_patiently("reload", _RELOAD_TIMEOUT)
        return ReloadAnswer(is_done=answer.startswith("Success=1"), log=answer)

    def statistics(self, kind: int, *, worker: str = CURRENT, proxy: str = "-1") -> Iterator[dict[str, str]]:
        """`show stat` of FRONTENDS or SERVERS, of one proxy or all, a row each; none of an ended worker."""
        text = self.ask_again(f"show stat {proxy} {kind} -1", worker=worker)
        if text.startswith("# "):
            yield from csv.DictReader(text.removeprefix("# ").splitlines())

    def _ask_patiently(self, command: str, timeout: timedelta | None = None) -> str:
        """While the master reloads, nobody listens for a moment. A question that was not heard is asked again."""
        deadline = time.monotonic() + _REFUSED_PATIENCE.total_seconds()
        while True:
            try:
                return self._exchange(command, timeout or self._timeout)
            except ProxyUnavailable as problem:
                if not isinstance(problem.__cause__, ConnectionRefusedError) or time.monotonic() >= deadline:
                    raise
            time.sleep(0.02)

    def _exchange(self, command: str, timeout: timedelta) -> str:
        if "\n" in command:
            raise ValueError("a command is one line")
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(timeout.total_seconds())
                connection.connect(str(self._path))
                connection.sendall(command.encode() + b"\n")
                # The master keeps the connection open after its answer unless it sees the end of ours.
                connection.shutdown(socket.SHUT_WR)
                return b"".join(iter(lambda: connection.recv(65536), b"")).decode(errors="replace")
        except (ConnectionResetError, BrokenPipeError):
            return ""  # the master started over for a reload
        except OSError as problem:
            raise ProxyUnavailable(
                f"The proxy does not answer on {self._path}: {problem}.", remedy="Call ensure_running, then try again."
            ) from problem
