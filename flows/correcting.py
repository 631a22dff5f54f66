"""Corrects runs that Prefect believes unfinished and that are over: by our record, or because their process is gone.

Nobody reports the end of a run whose worker was stopped or killed, whose process was killed in a terminal, or that
ended while Prefect's server was away. The deployment itself is brought to its end by the driver; this makes Prefect's
record say so, for the run and for the subflow runs in its process. Runs of flows that are not ours are left alone.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import ObjectNotFound

from deployments.adapters.control_plane.runs import ClaimedRuns
from deployments.domain.entities import Deployment
from deployments.domain.errors import Refused
from deployments.domain.events import DeploymentEventKind
from deployments.store.commands import CommandKind
from deployments.store.records import Records
from flows.ends import End, decide_end, end_like_parent, is_of_this_attempt, message_for, state_for
from flows.parts import deployment_of
from flows.presence import Presence, presence_of
from tasks.runs import in_thread

ROOTS = ("deploy", "rollback", "reconcile")
PHASES = ("validation", "preparation", "deployment", "testing", "completion")
PACKAGE = "flows."
UNFINISHED = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
PAGE = 200
MOST_PASSES = 4
"""A rollback, its deployment, a phase of that: each is corrected once what it is a part of has ended."""


@dataclass(slots=True)
class Corrector:
    """One round over the unfinished runs. Its methods may raise httpx.HTTPError or DeploymentError: try again later."""

    client: PrefectClient
    records: Records
    claims: ClaimedRuns
    _is_ours: dict[UUID, bool] = field(default_factory=dict)

    async def correct(self) -> list[str]:
        """Order what was cancelled to come back, correct what is over; a line for each run that was corrected."""
        lines: list[str] = []
        for _ in range(MOST_PASSES):
            corrected = [line for run in await self._unfinished() if (line := await self._correct(run)) is not None]
            if not corrected:
                break
            lines += corrected
        return lines

    async def _correct(self, run: FlowRun) -> str | None:
        try:
            end = await self._end_of(run)
            if end is None or not await self._put(run, end):
                return None
        except ObjectNotFound:  # deleted meanwhile
            return None
        return f"{run.name}: {end.state.value.lower()} in Prefect's record. {end.message}"

    async def _end_of(self, run: FlowRun) -> End | None:
        now = datetime.now(UTC)
        record = await self._record_of(run)
        if record is None and run.parent_task_run_id is not None:
            parent = await self._parent_of(run)
            whose = await self._record_of(parent) if parent is not None else None
            if parent is None or not (whose is not None or await self._is_run_of_ours(parent)):
                return None
            return end_like_parent(run, parent, whose, now=now)
        if record is None and not await self._is_run_of_ours(run):
            return None
        if record is not None and run.state_type is StateType.CANCELLING:
            await in_thread(order_to_cancel, self.records, record)
        finisher = await in_thread(finisher_of, self.records, record) if record is not None else ""
        return decide_end(run, record, presence_of(run, self.claims), finisher=finisher, now=now)

    async def _record_of(self, run: FlowRun) -> Deployment | None:
        """Of the deployment that the run opened; a rollback opens it in the `deploy` run that is a part of it."""
        if run.parent_task_run_id is not None:
            return await in_thread(self.records.deployments.by_flow_run, str(run.id))
        return await deployment_of(self.client, self.records, run.id)

    async def _is_run_of_ours(self, run: FlowRun) -> bool:
        """By the entrypoint of its Prefect deployment; one started in a terminal, by what it was asked for."""
        if run.deployment_id is None:
            return run.parent_task_run_id is None and "target_environment" in (
                run.parameters.get("specification") or {}
            )
        if run.deployment_id not in self._is_ours:
            deployment = await self.client.read_deployment(run.deployment_id)
            self._is_ours[run.deployment_id] = (deployment.entrypoint or "").startswith(PACKAGE)
        return self._is_ours[run.deployment_id]

    # Prefect's API ----------------------------------------------------------------------------------------------------

    async def _unfinished(self) -> list[FlowRun]:
        """Every unfinished run of flows named like ours, oldest first."""
        found: list[FlowRun] = []
        while True:
            page = await self.client.read_flow_runs(
                flow_filter=FlowFilter(name=FlowFilterName(any_=[*ROOTS, *PHASES])),
                flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=UNFINISHED))),
                limit=PAGE,
                offset=len(found),
            )
            found += [run for run in page if run.state is not None]
            if len(page) < PAGE:
                return sorted(found, key=lambda run: run.start_time or run.created or datetime.now(UTC))

    async def _parent_of(self, run: FlowRun) -> FlowRun | None:
        if run.parent_task_run_id is None:
            return None
        parent = (await self.client.read_task_run(run.parent_task_run_id)).flow_run_id
        return await self.client.read_flow_run(parent) if parent is not None else None

    async def _put(self, run: FlowRun, end: End) -> bool:
        """Unless it said itself how it ended meanwhile. Prefect lets a run that is Cancelling end as Cancelled only."""
        present = (await self.client.read_flow_run(run.id)).state
        if present is None or run.state is None or present.id != run.state.id:
            return False
        state: State[None] = State(type=end.state, message=end.message)
        answer = await self.client.set_flow_run_state(
            run.id, state, force=run.state_type is StateType.CANCELLING and end.state is not StateType.CANCELLED
        )
        return answer.status is SetStateStatus.ACCEPT


async def end_on_record(client: PrefectClient, records: Records, flow_run_id: UUID) -> End | None:
    """How the deployment of a run whose process has gone had ended before, so that nothing is left to do."""
    run = await client.read_flow_run(flow_run_id)
    record = await deployment_of(client, records, flow_run_id)
    if record is None or not record.is_final or run.state is None or not is_of_this_attempt(record, run):
        return None
    return End(state_for(record), message_for(record, Presence.LOST, await in_thread(finisher_of, records, record)))


def order_to_cancel(records: Records, record: Deployment) -> None:
    """A run that somebody cancels in Prefect while no worker has it, or an orphan, learns it from our records."""
    if record.status.is_active:
        with suppress(Refused):  # it has just ended
            records.commands.request(record.id, CommandKind.CANCEL, by="prefect", reason="The flow run was cancelled.")


def finisher_of(records: Records, record: Deployment) -> str:
    """Who brought it to its end, in words."""
    told = records.events.timeline(deployment=record.id)
    takeovers = [event.at for event in told if event.kind is DeploymentEventKind.TAKEN_OVER and event.at is not None]
    return f"the controller that took it over at {takeovers[-1]:%H:%M:%S} UTC" if takeovers else ""
