"""Why the process of a run was told to stop: somebody cancelled the run, or its machine or worker is going down."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.exceptions import TerminationSignal
from prefect.runtime import flow_run

from deployments.domain.errors import Cancelled, ControllerLost, Refused
from deployments.driver.run import Run
from deployments.driver.world import World
from deployments.store.commands import CommandKind
from tasks.runs import in_thread

STOPPED = (asyncio.CancelledError, TerminationSignal)
"""What a flow sees of SIGTERM: Prefect raises the second, and the event loop cancels what it ran."""
PATIENCE_SECONDS = 2.0


@contextmanager
def heeding_sigterm(interrupt: Callable[[], Coroutine[Any, Any, None]]) -> Iterator[None]:
    """SIGTERM interrupts what is under way, whatever this thread is doing when it comes.

    Prefect's handler raises an exception wherever the main thread happens to be. In the middle of a write to a socket
    asyncio takes that for an error of the socket and drops it: the signal is lost, and a run that watches its releases
    for an hour goes on for an hour. The event loop hears of the signal as well, and sees to what blocks in a thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    asking: set[asyncio.Task[None]] = set()
    before = signal.getsignal(signal.SIGTERM)
    loop.add_signal_handler(signal.SIGTERM, lambda: asking.add(asyncio.ensure_future(interrupt())))
    signal.signal(signal.SIGTERM, before)  # the loop is told of signals beside the handler
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)


async def interrupt_step(run: Run) -> None:
    """The step under way ends with the reason."""
    error = await told_to_stop()
    if not run.is_past_cancelling:
        run.interruption.set(error)


async def leave_queue(world: World, flow_run_id: str) -> None:
    """A deployment that waits for its environment waits no longer."""
    record = await in_thread(world.records.deployments.by_flow_run, flow_run_id)
    if record is not None and record.status.is_active:
        order = partial(world.records.commands.request, by="prefect", reason="The run's process was told to stop.")
        with suppress(Refused):  # it has just ended
            await in_thread(order, record.id, CommandKind.CANCEL)


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
