"""Why the process of a run was told to stop: somebody cancelled the run, or its machine or worker is going down."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.exceptions import TerminationSignal
from prefect.runtime import flow_run

from deployments.domain.errors import Cancelled, ControllerLost
from deployments.driver.run import Run

STOPPED = (asyncio.CancelledError, TerminationSignal)
"""What a flow sees of SIGTERM: Prefect raises the second, and the event loop cancels what it ran."""
PATIENCE_SECONDS = 2.0


@contextmanager
def heeding_sigterm(run: Run) -> Iterator[None]:
    """SIGTERM interrupts the run, whatever this thread is doing when it comes.

    Prefect's handler raises an exception wherever the main thread happens to be. In the middle of a write to a socket
    asyncio takes that for an error of the socket and drops it: the signal is lost, and a run that watches its releases
    for an hour goes on for an hour. The event loop hears of the signal as well, and interrupts the step under way.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    asking: set[asyncio.Task[None]] = set()
    before = signal.getsignal(signal.SIGTERM)
    loop.add_signal_handler(signal.SIGTERM, lambda: asking.add(asyncio.ensure_future(_interrupt(run))))
    signal.signal(signal.SIGTERM, before)  # the loop is told of signals beside the handler
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)


async def _interrupt(run: Run) -> None:
    error = await told_to_stop()
    if not run.is_past_cancelling:
        run.interruption.set(error)


async def told_to_stop() -> Cancelled:
    """The reason to record. A process worker sends one signal for both; only Prefect's server knows which it is."""
    try:
        is_cancelled = await asyncio.wait_for(_is_cancelled(), PATIENCE_SECONDS)
    except Exception:  # noqa: BLE001 - the way back waits for nobody
        is_cancelled = False
    if is_cancelled:
        return Cancelled("The flow run was cancelled in Prefect.", by="prefect")
    return ControllerLost("The process of its flow run was told to stop; what it had touched is taken back.")


async def _is_cancelled() -> bool:
    """Of the run, or of the rollback that it is a part of."""
    async with get_client() as client:
        run = await client.read_flow_run(UUID(flow_run.id))
        states = [run.state]
        if run.parent_task_run_id is not None:
            parent = (await client.read_task_run(run.parent_task_run_id)).flow_run_id
            states += [(await client.read_flow_run(parent)).state] if parent else []
    return any(state is not None and (state.is_cancelling() or state.is_cancelled()) for state in states)
