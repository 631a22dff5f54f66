"""A proxy with what is around it, to be arranged the same way for the real one and for the fake."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from deployments.adapters.haproxy.proxy import HAProxy
from deployments.adapters.haproxy.runtime import CURRENT, FRONTENDS, Runtime
from deployments.adapters.meter.reader import ProxyMeter
from deployments.domain import ports
from deployments.domain.errors import ProxyUnavailable
from deployments.domain.ports import Endpoint
from tests.fakes.backend import Backend
from tests.fakes.process_host import ChildProcessHost
from tests.fakes.proxy import FakeProxy
from tests.waiting import until

ENVIRONMENT = "production"


class ProxyWorld(Protocol):
    """What a test may do around a proxy."""

    @property
    def proxy(self) -> ports.Proxy: ...

    def endpoint(self, instance: str, revision: str = "r1") -> Endpoint:
        """An instance that answers."""

    def end(self, instance: str) -> None:
        """The instance stops listening; the proxy has noticed when this returns."""

    def crash(self) -> None:
        """SIGKILL to the proxy; when this returns, the supervisor has started it again."""

    def let_time_pass(self) -> None:
        """The handle's time to live passes without renewal; it has fired when this returns."""

    def take_port(self, port: int) -> None:
        """Somebody else listens on the port."""


class RealWorld:
    """HAProxy, its meter, and small web services, all on this machine."""

    def __init__(self, host: ChildProcessHost, stack: ExitStack, state: Path, run: Path) -> None:
        """Nothing is started."""
        self.host = host
        self.state = state
        self.proxy = HAProxy(ENVIRONMENT, state, run, host)
        self.meter = ProxyMeter(ENVIRONMENT, state)
        self.backends: dict[str, Backend] = {}
        self.run = run
        self._stack = stack

    def endpoint(self, instance: str, revision: str = "r1") -> Endpoint:
        backend = self._stack.enter_context(Backend(revision))
        self.backends[instance] = backend
        return Endpoint(instance, backend.port, revision)

    def end(self, instance: str) -> None:
        self.backends[instance].stop()
        until(lambda: not self._is_up(instance), f"{instance} to be seen as down")

    def crash(self) -> None:
        before = self.host.pid(f"haproxy-{ENVIRONMENT}")
        self.host.kill(f"haproxy-{ENVIRONMENT}")
        until(lambda: self.host.pid(f"haproxy-{ENVIRONMENT}") != before, "the supervisor to start the proxy again")
        until(self.answers, "the proxy to answer again")

    def let_time_pass(self) -> None:
        until(lambda: self.proxy.handle().has_fired, "the handle to fire")

    def take_port(self, port: int) -> None:
        self._stack.enter_context(Backend("somebody-else", port=port))

    def restart(self, instance: str) -> None:
        """An instance that was stopped listens on its port again."""
        before = self.backends[instance]
        self.backends[instance] = self._stack.enter_context(Backend(before.release, port=before.port))

    def open_requests(self, service: str) -> int:
        """Connections of clients, over all workers."""
        runtime = Runtime(self.run / f"{ENVIRONMENT}.proxy")
        workers = (CURRENT, *runtime.processes().old_workers)
        rows = [row for worker in workers for row in runtime.statistics(FRONTENDS, worker=worker)]
        return sum(int(row["scur"]) for row in rows if row["pxname"] == f"{service}.public")

    def answered_by_proxy(self, service: str) -> int:
        """Requests of the current worker by HAProxy's own counters."""
        rows = Runtime(self.run / f"{ENVIRONMENT}.proxy").statistics(FRONTENDS)
        return sum(
            int(row[f"hrsp_{family}xx"])
            for row in rows
            if row["pxname"] == f"{service}.public"
            for family in range(1, 6)
        )

    def answers(self) -> bool:
        """Whether the proxy can be asked."""
        with suppress(ProxyUnavailable):
            self.proxy.handle()
            return True
        return False

    def _is_up(self, instance: str) -> bool:
        services = (route.service for route in self.proxy.routes())
        states = (state for service in services for state in self.proxy.backends(service))
        return any(state.is_up for state in states if state.endpoint.instance == instance)


class FakeWorld:
    """The same in memory."""

    def __init__(self) -> None:
        """A clock that stands still until told otherwise."""
        self._now = 0.0
        self._ports = iter(range(1000, 10000))
        self.fake = FakeProxy(clock=lambda: self._now)
        self.proxy = self.fake

    def endpoint(self, instance: str, revision: str = "r1") -> Endpoint:
        return Endpoint(instance, next(self._ports), revision)

    def end(self, instance: str) -> None:
        self.fake.down.add(instance)

    def crash(self) -> None:
        self.fake.kill()
        self.fake.restart()

    def let_time_pass(self) -> None:
        self._now += 3600.0

    def take_port(self, port: int) -> None:
        self.fake.taken_ports.add(port)


@contextmanager
def real_world() -> Iterator[RealWorld]:
    """A new environment; everything in it is stopped and removed at the end."""
    directory = Path(tempfile.mkdtemp(prefix="fl-", dir="/tmp"))
    host = ChildProcessHost()
    try:
        with ExitStack() as stack:
            yield RealWorld(host, stack, directory / "state", directory / "run")
    finally:
        host.stop_all()
        shutil.rmtree(directory, ignore_errors=True)
