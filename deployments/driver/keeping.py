"""Keeps the lease while a deployment is driven, and with it the dead man's handle.

A thread renews the lease; only after that succeeded is the handle renewed. A lease that could not be renewed in time, a
handle that fired, or a command to cancel interrupts the run: its next step raises, and no later one begins.

Meanwhile records that are away are waited for by whoever drives the run, and not by this thread, which has to notice.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from types import TracebackType

from deployments.domain.errors import Cancelled, Conflict, LeaseLost, Unavailable
from deployments.driver.enduring import plain, while_held
from deployments.driver.run import Run
from deployments.store.leases import Lease


class LeaseKeeper:
    """A context: renews while inside, where the run's records endure what the lease outlasts.

    Leaving does not release the lease; who ends the deployment does.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self._records = plain(run.world.records)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease-{run.environment}", daemon=True)
        self._last = run.world.clock.monotonic()

    def __enter__(self) -> LeaseKeeper:
        self.run.world = while_held(self.run)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(timeout=10)
        self.run.world = replace(self.run.world, records=self._records)

    def _keep(self) -> None:
        timings = self.run.world.timings
        while not self._ended.wait(min(timings.renew.total_seconds(), 0.5)):
            self._obey_commands()
            now = self.run.world.clock.monotonic()
            if now - self._last >= timings.renew.total_seconds():
                self._renew()

    def _renew(self) -> None:
        """Our own count of the expiry begins before we asked, and goes on while an answer is awaited."""
        run, timings = self.run, self.run.world.timings
        asked, lease = run.world.clock.monotonic(), run.lease
        try:
            self._records.leases.renew(lease)
            self._last = asked
        except Conflict as error:
            if not is_taken_again(lease, error):
                run.interruption.set(error)
            return
        except Unavailable as error:
            if run.world.clock.monotonic() - self._last > timings.lease.total_seconds():
                run.interruption.set(overdue(run, error))
            return
        self._renew_handle()

    def _renew_handle(self) -> None:
        run = self.run
        if run.interruption.is_set or run.is_past_cancelling:
            return
        try:
            state = run.proxy.handle()
            if state.is_armed or state.has_fired:
                run.proxy.renew_handle(run.world.timings.handle, fence=run.fence)
        except Conflict as error:
            run.interruption.set(error)
        except Unavailable:
            return

    def _obey_commands(self) -> None:
        if self.run.is_past_cancelling:
            return
        try:
            command = self._records.commands.pending(self.run.deployment)
        except Unavailable:
            return
        if command is not None:
            self.run.interruption.set(Cancelled(f"{command.by} asked to {command.kind}.", by=command.by))


def is_taken_again(lease: Lease, error: Conflict) -> bool:
    """Whether the run itself changed the lease for one with a higher fence meanwhile."""
    fence = error.context.get("present_fence")
    return error.context.get("holder") == lease.owner and isinstance(fence, int) and fence > lease.fence


def overdue(run: Run, cause: Unavailable) -> LeaseLost:
    """The lease may be over by now, and the environment somebody else's."""
    seconds = run.world.timings.lease.total_seconds()
    return LeaseLost(
        f"The lease of {run.environment} could not be renewed in time: {cause.message}",
        remedy=f"Deploy again when the database has come to stay; one that is away for more than {seconds:g} s costs"
        " the lease (FAIRLEAD_LEASE_SECONDS).",
        environment=run.environment,
        fence=run.fence,
    )
