"""Holds the lease of an environment for work that is no deployment: renewed while inside, given back at the end."""

from __future__ import annotations

import threading
from contextlib import suppress
from types import TracebackType

from deployments.domain.errors import Conflict, DeploymentError, LeaseLost, Unavailable
from deployments.driver.opening import owner_name, take_lease
from deployments.driver.run import Interruption
from deployments.driver.world import World
from deployments.store.leases import Lease


class HeldLease:
    """A context. A lease that could not be renewed in time sets `interruption`, which raises at the next look."""

    def __init__(self, world: World, environment: str) -> None:
        """Nothing is taken yet."""
        self.interruption = Interruption()
        self._world, self._environment = world, environment
        self._lease: Lease | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"held-{environment}", daemon=True)

    @property
    def lease(self) -> Lease:
        """The lease that is held."""
        assert self._lease is not None, "inside the context only"
        return self._lease

    def __enter__(self) -> HeldLease:
        """Take it, with the data plane running and armed. Raises LeaseHeld."""
        owner = owner_name()
        try:
            self._lease = take_lease(self._world, self._environment, owner)
        except DeploymentError:
            self._give_back(owner)
            raise
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(timeout=10)
        with suppress(DeploymentError):  # it runs out by itself
            self._world.records.leases.release(self.lease)

    def _give_back(self, owner: str) -> None:
        """The data plane did not come up after the lease was taken: nobody is to wait until it runs out."""
        with suppress(DeploymentError):
            taken = self._world.records.leases.holder(self._environment)
            if taken is not None and taken.owner == owner:
                self._world.records.leases.release(taken)

    def _keep(self) -> None:
        timings, clock = self._world.timings, self._world.clock
        last = clock.monotonic()
        while not self._ended.wait(timings.renew.total_seconds()):
            asked = clock.monotonic()
            try:
                self._world.records.leases.renew(self.lease)
                last = asked
            except Conflict as error:
                self.interruption.set(error)
            except Unavailable as error:
                if asked - last > timings.lease.total_seconds():
                    self.interruption.set(LeaseLost("The lease could not be renewed in time.", cause=str(error)))
