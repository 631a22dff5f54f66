"""The few questions and orders that the runner has for Prefect's API."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterNextScheduledStartTime,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import State, StateType
from prefect.client.schemas.responses import OrchestrationResult, SetStateStatus
from prefect.states import Cancelled, Crashed, Pending

from flows.ends import End

log = logging.getLogger("fairlead.runner")

UNFINISHED = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]


class PoolApi:
    """Prefect's API as a worker of one work pool needs it. Every method may raise httpx.HTTPError."""

    def __init__(self, client: PrefectClient, *, pool: str, name: str, packages: tuple[str, ...] = ("flows",)) -> None:
        """`name` is the worker's, shown in the UI; `packages` are those whose flows the template can run."""
        self._packages = packages
        self._client = client
        self._pool = pool
        self._name = name
        self._entrypoints: dict[UUID, str | None] = {}

    async def has_due_runs(self) -> bool:
        """One indexed read without side effects, so that it can be asked several times a second."""
        due = await self._client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
                next_scheduled_start_time=FlowRunFilterNextScheduledStartTime.model_validate({"before_": _now()}),
            ),
            work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[self._pool])),
            limit=1,
        )
        return bool(due)

    async def due_runs(self) -> list[tuple[UUID, str]]:
        """Due runs of our own flows, with entrypoints. Pauses and limits of pool and queues are respected."""
        found = await self._client.get_scheduled_flow_runs_for_work_pool(self._pool, scheduled_before=_now())
        runs = [response.flow_run for response in found]
        return [
            (run.id, entrypoint)
            for run in runs
            if run.deployment_id is not None and (entrypoint := await self._entrypoint(run.deployment_id)) is not None
        ]

    async def _entrypoint(self, deployment_id: UUID) -> str | None:
        """None for a deployment that the template cannot run: not one of our flows, or one with pull steps."""
        if deployment_id not in self._entrypoints:
            deployment = await self._client.read_deployment(deployment_id)
            entrypoint = deployment.entrypoint or ""
            is_ours = (
                entrypoint.startswith(tuple(f"{package}." for package in self._packages))
                and ":" not in entrypoint
                and not deployment.pull_steps
            )
            if not is_ours:
                log.info("deployment_left_to_other_workers name=%s entrypoint=%s", deployment.name, entrypoint)
            self._entrypoints[deployment_id] = entrypoint if is_ours else None
        return self._entrypoints[deployment_id]

    async def take(self, flow_run_id: UUID) -> bool:
        """Move the run to Pending; False when another worker was first or the server says no."""
        answer: OrchestrationResult[Any] = await self._client.set_flow_run_state(flow_run_id, Pending())
        return answer.status is SetStateStatus.ACCEPT and answer.state is not None and answer.state.is_pending()

    async def record_process(self, flow_run_id: UUID, pid: int) -> None:
        """Tell Prefect that the run has a process, or it would cancel a waiting retry without telling us."""
        await self._client.update_flow_run(flow_run_id, infrastructure_pid=f"{socket.gethostname()}:{pid}")

    async def state_of(self, flow_run_id: UUID) -> StateType | None:
        """The run's state."""
        return (await self._client.read_flow_run(flow_run_id)).state_type

    async def cancelling(self, among: Sequence[UUID]) -> list[UUID]:
        """Those of the runs that somebody has asked to cancel."""
        runs = await self._client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                id=FlowRunFilterId(any_=list(among)),
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CANCELLING])),
            )
        )
        return [run.id for run in runs]

    async def mark_ended(self, flow_run_id: UUID, end: End) -> None:
        """The run, and subflow runs that ran in its process, ended as our record says."""
        for run in (*await self._unfinished_subflows(flow_run_id), flow_run_id):
            await self._client.set_flow_run_state(run, State(type=end.state, message=end.message), force=True)

    async def mark_crashed(self, flow_run_id: UUID, message: str) -> None:
        """The run, and subflow runs that ran in its process, are Crashed."""
        await self._client.set_flow_run_state(flow_run_id, Crashed(message=message))
        for child in await self._unfinished_subflows(flow_run_id):
            await self._client.set_flow_run_state(child, Crashed(message=message))

    async def mark_cancelled(self, flow_run_id: UUID, message: str) -> None:
        """The run, and subflow runs that ran in its process, are Cancelled, whatever a dying process reported."""
        for child in await self._unfinished_subflows(flow_run_id):
            await self._client.set_flow_run_state(child, Cancelled(message=message), force=True)
        await self._client.set_flow_run_state(flow_run_id, Cancelled(message=message), force=True)

    async def _unfinished_subflows(self, flow_run_id: UUID) -> list[UUID]:
        children = await self._client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[flow_run_id]),
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=UNFINISHED)),
            )
        )
        return [child.id for child in children]

    async def beat(self, interval: timedelta) -> None:
        """Show in the UI that pool, queues and deployments have a worker, and look at deployments afresh."""
        self._entrypoints.clear()
        await self._client.send_worker_heartbeat(
            work_pool_name=self._pool,
            worker_name=self._name,
            heartbeat_interval_seconds=interval.total_seconds(),
        )
        await self._client.get_scheduled_flow_runs_for_work_pool(self._pool, scheduled_before=_now())


def worker_name() -> str:
    """Shown in the UI."""
    return f"fairlead-warm-{socket.gethostname()}-{os.getpid()}"


def _now() -> datetime:
    return datetime.now(UTC)
