"""The warm runner: takes due runs of its work pool, and sees each to its end.

It is a worker of the pool like `prefect worker start`, and may work beside one: whoever moves a run to Pending first
has it. What it does differently is start: the run's process is forked from a template that has everything imported.

Stopped or killed, it leaves the runs it started to go on by themselves; the next runner finds them by their claims
(`ClaimedRuns`), concludes those that have ended, and watches the others. No run stays Running for ever.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

import httpx
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ObjectNotFound

from deployments.adapters.control_plane.runs import ClaimedRun, ClaimedRuns
from flows.ends import End
from flows.runner.api import PoolApi
from flows.runner.conclusion import FINISHED, MarkCancelled, MarkCrashed, Nothing, StartAgain, decide_conclusion
from flows.runner.workshop import Workshop, signal_run

log = logging.getLogger("fairlead.runner")


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the runner looks, and how long it waits."""

    poll: timedelta = timedelta(milliseconds=250)
    cancel_poll: timedelta = timedelta(seconds=1)
    heartbeat: timedelta = timedelta(seconds=15)
    obey: timedelta = timedelta(seconds=120)
    """How long a run that was asked to cancel may take to undo what it did."""
    grace: timedelta = timedelta(seconds=30)
    """Between SIGTERM and SIGKILL."""
    hooks: timedelta = timedelta(seconds=300)
    """How long the hooks of a run that crashed or was cancelled may take."""


@dataclass(slots=True)
class Ride:
    """One run being watched."""

    claimed: ClaimedRun
    is_cancelled: bool = False
    pid: int | None = None


class WarmRunner:
    """Polls, claims, starts, watches, concludes."""

    def __init__(
        self,
        api: PoolApi,
        workshop: Workshop,
        claims: ClaimedRuns,
        *,
        limit: int,
        ask_to_cancel: Callable[[ClaimedRun], bool],
        end_on_record: Callable[[UUID], Awaitable[End | None]],
        pace: Pace = Pace(),
    ) -> None:
        """`ask_to_cancel` tells a run to stop by itself and says whether it will; a run that will not gets SIGTERM.

        `end_on_record` says how a run that reported no end has ended by our record; None: something may be left to do.
        """
        self._api = api
        self._workshop = workshop
        self._claims = claims
        self._limit = limit
        self._ask_to_cancel = ask_to_cancel
        self._end_on_record = end_on_record
        self._pace = pace
        self._rides: dict[UUID, Ride] = {}
        self._watchers: set[asyncio.Task[None]] = set()

    async def work(self) -> None:
        """Work until cancelled. Raises TemplateGone when runs can no longer be started."""
        for claimed in self._claims.all():
            self._watch(claimed, self._see_adopted)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._workshop.listen())
            group.create_task(self._repeat("claim", self._pace.poll, self._claim_due_runs))
            group.create_task(self._repeat("cancel", self._pace.cancel_poll, self._cancel_runs))
            group.create_task(
                self._repeat("heartbeat", self._pace.heartbeat, partial(self._api.beat, self._pace.heartbeat))
            )

    async def _repeat(self, what: str, pause: timedelta, act: Callable[[], Awaitable[None]]) -> None:
        """Do it again and again; an API that does not answer is tried again, and said once."""
        is_answering = True
        while True:
            try:
                await act()
            except (httpx.HTTPError, ObjectNotFound) as error:
                if is_answering:
                    log.warning("api_unavailable doing=%s error=%r", what, error)
                is_answering = False
                await asyncio.sleep(1)
            else:
                if not is_answering:
                    log.info("api_available doing=%s", what)
                is_answering = True
            await asyncio.sleep(pause.total_seconds())

    # Claiming ---------------------------------------------------------------------------------------------------------

    async def _claim_due_runs(self) -> None:
        free = self._limit - len(self._rides)
        if free <= 0 or not await self._api.has_due_runs():
            return
        for flow_run_id, entrypoint in (await self._api.due_runs())[:free]:
            if not self._claims.claim(flow_run_id, entrypoint):
                continue
            if await self._api.take(flow_run_id):
                self._watch(ClaimedRun(flow_run_id, entrypoint, pid=None), self._see_started)
            else:
                self._claims.forget(flow_run_id)

    def _watch(self, claimed: ClaimedRun, see: Callable[[Ride], Awaitable[int | None]]) -> None:
        ride = Ride(claimed, pid=claimed.pid)
        self._rides[claimed.flow_run_id] = ride
        watcher = asyncio.create_task(self._see_to_the_end(ride, see))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)

    # Watching ---------------------------------------------------------------------------------------------------------

    async def _see_to_the_end(self, ride: Ride, see: Callable[[Ride], Awaitable[int | None]]) -> None:
        status = await see(ride)
        while not await self._conclude(ride, status):
            status = await self._see_started(ride)
        self._claims.forget(ride.claimed.flow_run_id)
        del self._rides[ride.claimed.flow_run_id]

    async def _see_started(self, ride: Ride) -> int | None:
        run = ride.claimed
        forked = await self._workshop.fork("run", str(run.flow_run_id), run.entrypoint)
        ride.pid = await forked.started
        log.info("run_started flow_run=%s pid=%d", run.flow_run_id, ride.pid)
        with suppress(httpx.HTTPError, ObjectNotFound):
            await self._api.record_process(run.flow_run_id, ride.pid)
        return await forked.ended

    async def _see_adopted(self, ride: Ride) -> int | None:
        while self._claims.is_alive(ride.claimed.flow_run_id):
            await asyncio.sleep(self._pace.poll.total_seconds())
        return None

    # Concluding -------------------------------------------------------------------------------------------------------

    async def _conclude(self, ride: Ride, status: int | None) -> bool:
        """Make Prefect's record say how the run ended; False when the run is to be started (again)."""
        while True:
            try:
                return await self._try_to_conclude(ride, status)
            except httpx.HTTPError as error:
                log.warning("conclusion_delayed flow_run=%s error=%r", ride.claimed.flow_run_id, error)
                await asyncio.sleep(1)
            except ObjectNotFound:
                return True

    async def _try_to_conclude(self, ride: Ride, status: int | None) -> bool:
        run = ride.claimed
        conclusion = decide_conclusion(
            await self._api.state_of(run.flow_run_id),
            was_cancelled=ride.is_cancelled,
            has_begun=ride.pid is not None,
            status=status,
        )
        log.info("run_ended flow_run=%s status=%s conclusion=%s", run.flow_run_id, status, conclusion)
        if isinstance(conclusion, MarkCrashed | MarkCancelled):
            end = await self._end_on_record(run.flow_run_id)
            if end is not None and (isinstance(conclusion, MarkCrashed) or end.state is StateType.COMPLETED):
                await self._api.mark_ended(run.flow_run_id, end)
                return True
        match conclusion:
            case Nothing():
                return True
            case StartAgain():
                return False
            case MarkCrashed(message):
                await self._run_hooks("crashed", run, message)
                await self._mark_after_hooks(run, message)
            case MarkCancelled(message):
                await self._run_hooks("cancellation", run, message)
                await self._api.mark_cancelled(run.flow_run_id, message)
        return True

    async def _mark_after_hooks(self, run: ClaimedRun, message: str) -> None:
        """As its deployment ended, which the hooks may have brought to its end; Crashed where that is not known."""
        if await self._api.state_of(run.flow_run_id) in FINISHED:
            return
        end = await self._end_on_record(run.flow_run_id)
        if end is None:
            await self._api.mark_crashed(run.flow_run_id, message)
        else:
            await self._api.mark_ended(run.flow_run_id, end)

    async def _run_hooks(self, job: str, run: ClaimedRun, message: str) -> None:
        """In a process of their own, so that a hook cannot take the runner with it."""
        forked = await self._workshop.fork(job, str(run.flow_run_id), run.entrypoint, message)
        try:
            await asyncio.wait_for(forked.ended, self._pace.hooks.total_seconds())
        except TimeoutError:
            log.error("hooks_overdue flow_run=%s job=%s", run.flow_run_id, job)
            signal_run(await forked.started, signal.SIGKILL)

    # Cancelling -------------------------------------------------------------------------------------------------------

    async def _cancel_runs(self) -> None:
        watched = [flow_run_id for flow_run_id, ride in self._rides.items() if not ride.is_cancelled]
        if not watched:
            return
        for flow_run_id in await self._api.cancelling(watched):
            ride = self._rides.get(flow_run_id)
            if ride is not None and ride.pid is not None:
                ride.is_cancelled = True
                canceller = asyncio.create_task(self._cancel(ride))
                self._watchers.add(canceller)
                canceller.add_done_callback(self._watchers.discard)

    async def _cancel(self, ride: Ride) -> None:
        flow_run_id = ride.claimed.flow_run_id
        if await asyncio.to_thread(self._ask, ride.claimed):
            await self._wait_for_end(flow_run_id, self._pace.obey)
        for number in (signal.SIGTERM, signal.SIGKILL):
            if flow_run_id not in self._rides or not self._claims.is_alive(flow_run_id):
                return
            log.info("run_signalled flow_run=%s signal=%s", flow_run_id, number.name)
            signal_run(ride.pid or 0, number)
            await self._wait_for_end(flow_run_id, self._pace.grace)

    def _ask(self, run: ClaimedRun) -> bool:
        try:
            return self._ask_to_cancel(run)
        except Exception:  # whatever kept the question from being asked, the signal still ends the run
            log.exception("ask_to_cancel_failed flow_run=%s", run.flow_run_id)
            return False

    async def _wait_for_end(self, flow_run_id: UUID, up_to: timedelta) -> None:
        deadline = asyncio.get_running_loop().time() + up_to.total_seconds()
        while self._claims.is_alive(flow_run_id) and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(self._pace.poll.total_seconds())
