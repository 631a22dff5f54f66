"""Free TCP ports, each reserved for one key until it is given back.

A port that is free now may be somebody else's a moment later. Ports outside of the kernel's ephemeral range are never
handed to outgoing connections, and a claim that all state directories of this user see keeps two of them apart.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from deployments.adapters.supervisor.records import write_atomically
from deployments.domain.errors import Broken, Refused

LOCK_SECONDS = 5.0
LOWEST, HIGHEST = 20000, 65535
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


class PortBook:
    """The ports of one state directory: `ports.json` there, and a claim file per port for the whole machine."""

    def __init__(self, state_directory: Path, *, claims: Path | None = None) -> None:
        """Nothing is made yet."""
        self._book = state_directory / "ports.json"
        self._claims = claims or Path(tempfile.gettempdir()) / f"fairlead-ports-{os.geteuid()}"

    def reserve(self, key: str) -> int:
        """A port nobody listens on; the same one for the same key while it is free. Raises Broken when none is."""
        with self._alone():
            ports = self._load()
            known = ports.get(key)
            if known is not None and is_free(known):
                self._claim(known)
                return known
            port = self._choose(set(ports.values()), key)
            if known is not None:
                self._unclaim(known)
            self._save({**ports, key: port})
            self._claim(port)
            return port

    def reserved(self, key: str) -> int | None:
        """The port that this key has."""
        return self._load().get(key)

    def release(self, key: str) -> None:
        """Give it back; a key without one is fine."""
        if key not in self._load():
            return
        with self._alone():
            ports = self._load()
            port = ports.pop(key, None)
            if port is not None:
                self._save(ports)
                self._unclaim(port)

    def _choose(self, taken: set[int], key: str) -> int:
        """Begin at a place that depends on the book and the key, so that a port is not given away again at once."""
        candidates = candidate_ports()
        seed = hashlib.sha256(f"{self._book}\0{key}".encode()).digest()
        start = int.from_bytes(seed[:8]) % len(candidates)
        for port in (*candidates[start:], *candidates[:start]):
            if port not in taken and not self._is_claimed(port) and is_free(port):
                return port
        raise Broken("no port is free on this machine.", remedy="Stop something that listens.")

    def _is_claimed(self, port: int) -> bool:
        """Whether another state directory has it; one that is gone, or has given it back, has not."""
        try:
            book = Path((self._claims / str(port)).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return False
        return port in _read(book).values()

    def _claim(self, port: int) -> None:
        write_atomically(self._claims / str(port), str(self._book))

    def _unclaim(self, port: int) -> None:
        (self._claims / str(port)).unlink(missing_ok=True)

    def _load(self) -> dict[str, int]:
        return _read(self._book)

    def _save(self, ports: dict[str, int]) -> None:
        self._book.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(self._book, json.dumps(ports))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._claims.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._claims.lstat().st_uid != os.geteuid():
            raise Refused(f"{self._claims} belongs to another user.", remedy="Remove it.")
        lock = os.open(self._claims / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._wait_for(lock)
            yield
        finally:
            os.close(lock)

    def _wait_for(self, lock: int) -> None:
        """Work on the book takes no time. Whoever holds the lock longer was stopped, and is done without.

        When that one goes on, its book replaces ours: a port that we reserved meanwhile is then not in it. Nobody gets
        a port while somebody listens there, so a service only has another one the next time.
        """
        deadline = time.monotonic() + LOCK_SECONDS
        while time.monotonic() < deadline:
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(0.01)


def is_free(port: int) -> bool:
    """Whether nothing listens on it, on any address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that just ended do not count
        try:
            # Every address, because the port must be free on all of them; it never listens.
            probe.bind(("0.0.0.0", port))  # nosec B104
        except OSError:
            return False
    return True


@cache
def candidate_ports(ephemeral: Path = EPHEMERAL) -> list[int]:
    """Ports from 20000 outside of the ephemeral range; all of them where that leaves too few."""
    try:
        low, high = map(int, ephemeral.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        low, high = 32768, 60999
    outside = [port for port in range(LOWEST, HIGHEST + 1) if not low <= port <= high]
    return outside if len(outside) >= 1000 else list(range(LOWEST, HIGHEST + 1))


def _read(book: Path) -> dict[str, int]:
    try:
        return {str(key): int(port) for key, port in json.loads(book.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError):
        return {}
