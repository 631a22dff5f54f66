"""What one environment's proxy keeps on disk: its configuration, the highest fence, and who its instances are."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from deployments.adapters.haproxy.control import Status
from deployments.adapters.haproxy.rendering import LiveService, Paths, read_routes, render
from deployments.domain.errors import Conflict, DiskFull, Refused
from deployments.domain.ports import Endpoint, RouteDeclaration

_LUA = Path(__file__).parent / "lua" / "fairlead.lua"
# A socket's address holds 107 bytes, and HAProxy adds its process id while it binds.
_LONGEST_SOCKET = 90


class ProxyFiles:
    """Reads and writes them; every write replaces a file in one step."""

    def __init__(self, environment: str, state_directory: Path, run_directory: Path) -> None:
        """`run_directory`, whose path must be short, holds the socket and the pipe; `state_directory` the rest."""
        self.directory = state_directory / "proxy" / environment
        self.configuration = self.directory / "haproxy.cfg"
        self.instances = self.directory / "instances.jsonl"
        self.running_lock = self.directory / "running.lock"
        self.proxy_log = self.directory / "haproxy.log"
        self.meter_log = self.directory / "meter.log"
        self.meter_directory = state_directory / "meter" / environment
        self.fence = self.directory / "fence"
        self.master_socket = run_directory / f"{environment}.proxy"
        self.request_pipe = run_directory / f"{environment}.requests"
        self._handover = self.directory / "handover.lua"
        self._paths = Paths(_LUA, self.fence, self._handover)

    def prepare(self) -> None:
        """Make the directories, and the configuration what its routes say.

        It says something else when a writer was killed (it may name a split, which a fresh start skips), and when the
        version before this one wrote it.
        Raises Refused when the socket's path would be too long.
        """
        if len(os.fsencode(self.master_socket)) > _LONGEST_SOCKET:
            raise Refused(f"{self.master_socket} is too long for a socket.", remedy="Choose a shorter run directory.")
        for directory in (self.directory, self.master_socket.parent):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.changing():
            routes = self.routes()
            if not self.configuration.exists() or self.configuration.read_text() != render(routes, self._paths):
                self.write_configuration(routes)

    def routes(self) -> tuple[RouteDeclaration, ...]:
        """The routes declared on disk."""
        if not self.configuration.exists():
            return ()
        return read_routes(self.configuration.read_text())

    def write_configuration(self, routes: Sequence[RouteDeclaration]) -> None:
        """The lasting file: the stable releases at full weight."""
        write_atomically(self.configuration, render(routes, self._paths))
        self._handover.unlink(missing_ok=True)

    def write_for_reload(
        self, routes: Sequence[RouteDeclaration], live: Mapping[str, LiveService], status: Status
    ) -> None:
        """The same file, with what the next worker takes over from the one that runs now."""
        write_atomically(self._handover, render_handover(status, kept={route.service for route in routes}))
        write_atomically(self.configuration, render(routes, self._paths, live=live))

    def highest_fence(self) -> int:
        """The highest fence ever seen; 0 for a new environment."""
        try:
            return int(self.fence.read_text())
        except FileNotFoundError:
            return 0

    def endpoints(self) -> dict[str, Endpoint]:
        """Every instance ever attached, by name."""
        if not self.instances.exists():
            return {}
        with self.instances.open() as lines:
            known = (Endpoint(**json.loads(line)) for line in lines if line.endswith("\n"))
            return {endpoint.instance: endpoint for endpoint in known}

    def remember(self, endpoints: Iterable[Endpoint]) -> None:
        """Append those not known yet, before they get a request: the meter reads revisions here.

        One write of whole lines to a file opened for appending: two writers do not mix.
        """
        known = self.endpoints()
        new = [endpoint for endpoint in endpoints if known.get(endpoint.instance) != endpoint]
        if new:
            text = "".join(json.dumps(asdict(endpoint)) + "\n" for endpoint in new)
            with _disk_errors(self.instances), self.instances.open("ab", buffering=0) as file:
                file.write(text.encode())

    @contextmanager
    def changing(self, patience: timedelta = timedelta(seconds=60)) -> Iterator[None]:
        """One writer of the configuration at a time; a lock that ends with its process. Raises Conflict."""
        deadline = time.monotonic() + patience.total_seconds()
        with (self.directory / "changing.lock").open("a") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        raise Conflict("Another process changes this proxy's routes.", remedy="Try again.") from None
                    time.sleep(0.02)
            yield


def render_handover(status: Status, *, kept: set[str]) -> str:
    """The worker's state as Lua, for the services that stay. Names were validated when they came in."""
    holds = (f"[{_quoted(name)}] = {_ms(up_to)}" for name, up_to in status.holds.items() if name in kept)
    handle = "nil"
    if status.handle:
        returns = status.handle.weights.items()
        weights = ", ".join(f"[{_quoted(name)}] = {_lua_table(by)}" for name, by in returns if name in kept)
        handle = (
            f"{{ fence = {status.handle.fence}, remaining_ms = {_ms(status.handle.remaining)}, "
            f"has_fired = {_lua(status.handle.has_fired)}, weights = {{ {weights} }} }}"
        )
    return (
        f"return {{ fence = {status.fence}, is_armed = {_lua(status.is_armed)}, "
        f"holds = {{ {', '.join(holds)} }}, handle = {handle} }}\n"
    )


def write_atomically(path: Path, text: str) -> None:
    """Replace the file in one step that survives a loss of power. Raises DiskFull."""
    temporary = path.with_name(path.name + ".new")
    with _disk_errors(path):
        with temporary.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise DiskFull(f"{path} could not be written: {problem}.", remedy="Free some space.") from problem


def _lua_table(weights: Mapping[str, int]) -> str:
    return "{ " + ", ".join(f"[{_quoted(instance)}] = {weight}" for instance, weight in weights.items()) + " }"


def _quoted(name: str) -> str:
    return f'"{name}"'


def _ms(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)


def _lua(flag: bool) -> str:
    return "true" if flag else "false"
