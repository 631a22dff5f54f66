"""What one environment's proxy keeps on disk: its configuration, the highest fence, and who its instances are.

A writer makes drafts, whose names carry its fence. HAProxy itself puts them in place (`install` in `lua/fairlead.lua`),
so a writer that was stopped and overtaken overwrites nothing, and its lock, which carries the fence too, stops nobody.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from deployments.adapters.haproxy.control import Status
from deployments.adapters.haproxy.rendering import LiveService, Paths, lua_load, read_routes, render
from deployments.domain.errors import Conflict, DiskFull, Refused
from deployments.domain.ports import Endpoint, RouteDeclaration

_LUA = Path(__file__).parent / "lua" / "fairlead.lua"
# A socket's address holds 107 bytes, and HAProxy adds its process id while it binds.
_LONGEST_SOCKET = 90
_LOCK = "changing-"


class ProxyFiles:
    """Reads them, and writes drafts."""

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
        self._paths = Paths(_LUA, self.fence, self.configuration, self._handover)
        self._aside = self.directory / "haproxy.cfg.aside"

    def prepare(self, *, is_running: bool) -> None:
        """Make the directories, and the configuration when there is none that HAProxy could start from.

        Raises Refused when the socket's path would be too long.
        """
        if len(os.fsencode(self.master_socket)) > _LONGEST_SOCKET:
            raise Refused(f"{self.master_socket} is too long for a socket.", remedy="Choose a shorter run directory.")
        for directory in (self.directory, self.master_socket.parent):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.configuration.exists():
            if not is_running and self._names_other_places(self.configuration.read_text()):
                self._put_aside()
            return
        self._create(read_routes(self._aside.read_text()) if self._aside.exists() else ())
        self._aside.unlink(missing_ok=True)

    def is_as_rendered(self) -> bool:
        """Whether the configuration is what its routes say.

        It is not when a writer was killed and left one for a reload, and when the version before this one wrote it.
        """
        text = self.configuration.read_text()
        return text == render(read_routes(text), self._paths)

    def routes(self) -> tuple[RouteDeclaration, ...]:
        """The routes declared on disk."""
        if not self.configuration.exists():
            return ()
        return read_routes(self.configuration.read_text())

    def draft(self, routes: Sequence[RouteDeclaration], *, fence: int) -> None:
        """The lasting file: the stable releases at full weight."""
        self._remove_older_than(fence)
        _write(_draft_of(self.configuration, fence), render(routes, self._paths))

    def draft_for_reload(
        self, routes: Sequence[RouteDeclaration], live: Mapping[str, LiveService], status: Status, *, fence: int
    ) -> None:
        """The same file, with what the next worker takes over from the one that runs now."""
        self._remove_older_than(fence)
        _write(_draft_of(self._handover, fence), render_handover(status, kept={route.service for route in routes}))
        _write(_draft_of(self.configuration, fence), render(routes, self._paths, live=live))

    def settle(self) -> None:
        """Make what was put in place survive a loss of power."""
        directory = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def highest_fence(self) -> int:
        """The highest fence ever seen; 0 for a new environment, or when the file cannot be read.

        A file that a loss of power emptied needs no person: no writer of before is left, and a lease takes the highest
        of the store's fence, the supervisor's and this one.
        """
        try:
            return int(self.fence.read_bytes())
        except (FileNotFoundError, ValueError):
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
    def changing(self, fence: int, patience: timedelta = timedelta(seconds=60)) -> Iterator[None]:
        """One writer of a fence at a time; a lock that ends with its process. Raises Conflict.

        Writers of other fences are kept apart by HAProxy: a newer one never waits for one that was stopped.
        """
        deadline = time.monotonic() + patience.total_seconds()
        with (self.directory / f"{_LOCK}{fence}.lock").open("a") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        raise Conflict("Another process changes this proxy's routes.", remedy="Try again.") from None
                    time.sleep(0.02)
            yield

    def _create(self, routes: Sequence[RouteDeclaration]) -> None:
        """Unless somebody else does: a link never replaces a file."""
        draft = _draft_of(self.configuration, f"start-{os.getpid()}-{threading.get_ident()}")
        _write(draft, render(routes, self._paths))
        with suppress(FileExistsError):
            self.configuration.hardlink_to(draft)
        draft.unlink()

    def _names_other_places(self, text: str) -> bool:
        """Whether HAProxy could not start from it: the state or the software was moved."""
        return lua_load(read_routes(text), self._paths) not in text

    def _put_aside(self) -> None:
        """Replace a configuration that HAProxy cannot start from, and none that somebody put in place meanwhile."""
        with suppress(FileNotFoundError):
            self.configuration.rename(self._aside)
        text = self._aside.read_text()
        if self._names_other_places(text):
            self._create(read_routes(text))
        else:
            with suppress(FileExistsError):
                self.configuration.hardlink_to(self._aside)
        self._aside.unlink(missing_ok=True)

    def _remove_older_than(self, fence: int) -> None:
        """What writers of older fences left: drafts, which are never put in place any more, and locks."""
        for path in self.directory.iterdir():
            own = path.name.removeprefix(_LOCK).removesuffix(".lock") if path.suffix == ".lock" else path.suffix[1:]
            if own.isdecimal() and int(own) < fence:
                path.unlink(missing_ok=True)


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


def _draft_of(path: Path, fence: int | str) -> Path:
    return path.with_name(f"{path.name}.{fence}")


def _write(path: Path, text: str) -> None:
    """Write a draft whose content survives a loss of power. Raises DiskFull."""
    with _disk_errors(path), path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


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
