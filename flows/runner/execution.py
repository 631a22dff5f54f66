"""What a forked process does: run one flow run with Prefect's engine, or run the hooks of one that cannot any more."""

from __future__ import annotations

import asyncio
import inspect
import os
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.engine import handle_engine_signals
from prefect.flow_engine import load_flow_and_flow_run, run_flow
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.logging.loggers import flow_run_logger
from prefect.states import Cancelling, Crashed

from deployments.adapters.control_plane.runs import ClaimedRuns
from flows.runner.template import Order


def execute(order: Order, claimed: ClaimedRuns) -> None:
    """Do what the order says; SystemExit carries the engine's exit code when the flow did not end normally."""
    os.environ["PREFECT__FLOW_RUN_ID"] = order.flow_run_id
    os.environ["PREFECT__FLOW_ENTRYPOINT"] = order.entrypoint
    # The runner reports cancellation and runs its hooks, as Prefect's own does: the engine is not to do it as well.
    os.environ["PREFECT__ENABLE_CANCELLATION_AND_CRASHED_HOOKS"] = "false"
    if order.job == "run":
        with claimed.held(UUID(order.flow_run_id)) as is_mine:
            if is_mine:
                run_to_the_end(UUID(order.flow_run_id))
    else:
        run_hooks(order)


def run_to_the_end(flow_run_id: UUID) -> None:
    """Run the flow as `python -m prefect.engine` does."""
    with handle_engine_signals(flow_run_id):
        flow_run, flow = load_flow_and_flow_run(flow_run_id)
        result = run_flow(flow, flow_run=flow_run, error_logger=flow_run_logger(flow_run=flow_run).logger)
        if inspect.iscoroutine(result):
            asyncio.run(result)


def run_hooks(order: Order) -> None:
    """Run the flow's hooks for a run whose own process is gone. A hook that fails is logged; the others still run."""
    with get_client(sync_client=True) as client:
        flow_run = client.read_flow_run(UUID(order.flow_run_id))
    flow: Flow[..., object] = load_flow_from_entrypoint(order.entrypoint)
    state: State[object]
    if order.job == "crashed":
        state, hooks = Crashed(message=order.message), flow.on_crashed_hooks
    else:
        state, hooks = Cancelling(message=order.message), flow.on_cancellation_hooks
    for hook in hooks:
        _run_hook(hook, flow, flow_run, state)


def _run_hook(hook: object, flow: Flow[..., object], flow_run: FlowRun, state: State[object]) -> None:
    logger = flow_run_logger(flow_run=flow_run)
    name = getattr(hook, "__name__", repr(hook))
    try:
        result = hook(flow=flow, flow_run=flow_run, state=state)  # type: ignore[operator]
        if inspect.isawaitable(result):
            asyncio.run(_finish(result))
    except Exception:  # one hook's failure must not keep the next one from running
        logger.error("The hook %r failed", name, exc_info=True)


async def _finish(awaitable: object) -> None:
    await awaitable  # type: ignore[misc]
