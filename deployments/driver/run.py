"""One held deployment: what it is to do, what is done already, and whether its holder may go on."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from deployments.domain.errors import Cancelled, DeploymentError
from deployments.domain.facts import Facts, Principal
from deployments.domain.plan import Plan
from deployments.domain.ports import BackendState, Meter, Proxy, SourceLock
from deployments.domain.programs import Surroundings
from deployments.domain.spec.service import ServiceSpecification
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.driver.world import World
from deployments.store.leases import Lease

Values = Mapping[str, object]


@dataclass(slots=True)
class Interruption:
    """Why the holder must stop, set by whoever notices first and raised at the next look."""

    _error: DeploymentError | None = None
    _noticed: threading.Event = field(default_factory=threading.Event)
    _is_past_cancelling: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def set(self, error: DeploymentError) -> None:
        """Keep the first reason. An order to cancel that was on its way when it was cleared comes too late."""
        with self._lock:
            if self._is_past_cancelling and isinstance(error, Cancelled):
                return
            if self._error is None:
                self._error = error
            self._noticed.set()

    def check(self) -> None:
        """Raise the reason, if there is one."""
        if self._error is not None:
            raise self._error

    def clear(self) -> None:
        """Forget it: undo goes on where forward was interrupted, and nobody cancels that."""
        with self._lock:
            self._is_past_cancelling = True
            self._error = None
            self._noticed.clear()

    @property
    def is_set(self) -> bool:
        """Whether the holder must stop."""
        return self._noticed.is_set()


@dataclass(slots=True)
class Run:
    """A deployment in the hands of this process. `receipts` holds the values of every finished step by key."""

    world: World
    deployment: str
    specification: DeploymentSpecification
    principal: Principal
    lease: Lease
    plan: Plan
    base: Path
    """Directory that the specification's paths are relative to."""
    has_plan: bool = False
    is_rollback: bool = False
    facts: Facts | None = None
    """What was observed when the plan was made in this process."""
    locks: Mapping[str, SourceLock] = field(default_factory=dict)
    """By service: what its source was resolved to when the plan was made."""
    receipts: dict[str, Values] = field(default_factory=dict)
    began: dict[str, datetime] = field(default_factory=dict)
    """By service: when the first step of its rollout was intended."""
    interruption: Interruption = field(default_factory=Interruption)
    returned_at: float | None = None
    """On the monotonic clock: when the way back began to drain what it takes away."""
    is_past_cancelling: bool = False
    """True on the way back and after the point of no return: neither is interrupted by a command."""

    @property
    def environment(self) -> str:
        """Name of the environment."""
        return self.specification.target_environment

    @property
    def fence(self) -> int:
        """What this writer is known by in the data plane."""
        return self.lease.fence

    @property
    def proxy(self) -> Proxy:
        """The environment's proxy."""
        return self.world.proxy(self.environment)

    @property
    def meter(self) -> Meter:
        """The environment's meter."""
        return self.world.meter(self.environment)

    def service(self, name: str) -> ServiceSpecification:
        """A service of the specification."""
        return self.specification.service(name)

    def pass_cancelling(self) -> None:
        """From here on no order to cancel interrupts it."""
        self.is_past_cancelling = True
        self.interruption.clear()

    def stop_waiting(self) -> None:
        """Interrupt steps that wait, because another step of this deployment has failed."""
        self.interruption.set(Cancelled("Another step of this deployment has failed."))

    def backends(self, service: str) -> Sequence[BackendState]:
        """What the proxy has attached for a service; nothing where it has no route (a worker, or a route undone)."""
        proxy = self.proxy
        return proxy.backends(service) if any(r.service == service for r in proxy.routes()) else ()

    def port_of(self, instance: str) -> int:
        """The port an instance listens on: from this deployment's receipts, else from the record of instances."""
        receipt = self.receipts.get(f"start:{instance}")
        if receipt is not None:
            return int(str(receipt["port"]))
        known = self.world.records.instances.get(instance)
        return known.port or 0

    def surroundings(self, service: str) -> Surroundings:
        """What a service finds around it, from the proxy's routes and the receipts."""
        routes = {route.service: f"http://127.0.0.1:{route.port}" for route in self.proxy.routes()}
        resources = {
            key.removeprefix("resource:"): str(values["value"])
            for key, values in self.receipts.items()
            if key.startswith("resource:")
        }
        configured = self.receipts.get(f"configure:{service}", {}).get("path")
        return Surroundings(
            routes=routes,
            resources=resources,
            configuration=Path(str(configured)) if configured else None,
            release=self.world.builder.find(self.plan.change(service).release),
            python=self.world.python,
        )
