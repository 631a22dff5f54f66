"""Runs the deploy flow in this process and watches it in the records; Ctrl-C cancels and undoes.

The flow runs in a thread of its own. This thread, the main one, receives signals, follows the records and draws:
nothing that happens to it ends the flow. A process that is killed leaves its deployment to the reconciler, or to the
next command.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from deployments.cli import prefect_log
from deployments.cli.interrupting import Interrupts
from deployments.cli.progress.following import Follower
from deployments.cli.progress.showing import View
from deployments.cli.reaching import closed_at_the_end, control_plane, user
from deployments.domain.errors import Cancelled, DeploymentError, Refused

if TYPE_CHECKING:
    from deployments.domain.entities import Deployment
    from deployments.domain.spec.specification import DeploymentSpecification
    from deployments.driver.world import World
    from deployments.settings import Settings

LOOK_SECONDS = 0.2
ASKED = "Cancelling: traffic returns first, then everything this deployment touched is taken back. Please wait."
ASKED_EARLY = "Cancelling as soon as the deployment is open; nothing is touched before that."
ASKED_AGAIN = (
    "The way back goes on and cannot be cut short. Killed, it is finished by `fairlead up` or the next command."
)
TOO_LATE = "It was past the point of no return when you asked: it completed. To go back: fairlead rollback {}."


@dataclass(frozen=True, slots=True)
class Order:
    """What to bring about."""

    specification: DeploymentSpecification
    base: Path
    """Directory that the specification's paths are relative to."""
    parent: str | None = None
    is_rollback: bool = False


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ended. `record` is None when it ended before its record was open."""

    record: Deployment | None
    error: BaseException | None
    was_interrupted: bool = False
    routes: Mapping[str, str] = field(default_factory=dict)
    """By service: where it answers, of those that were deployed."""


def prepare_process(settings: Settings, view: View) -> None:
    """PostgreSQL and Prefect's server, started when they are away, and this process told where they are.

    Comes before anything imports Prefect.
    """
    settings.ensure_directories()
    plane = control_plane(settings)
    services = plane.status().services
    if not all(services.get(name, True) for name in ("postgres", "prefect")):
        view.say("Starting PostgreSQL and Prefect's server; the first time takes some seconds.")
    plane.ensure_prefect()
    os.environ.update(plane.environment())
    os.environ.update(prefect_log.quiet_variables(settings.home / "logs" / "deploy.log"))
    prefect_log.LISTENERS[:] = [view.say]


def deploy_here(order: Order, view: View) -> Ending:
    """Run it to its end, whichever that is. Signals cancel; nothing is raised for a deployment that failed."""
    from flows.worlds import world_of_this_process

    world = closed_at_the_end(world_of_this_process())
    flow = FlowThread(order)
    watch = Watch(world, flow, view)
    with Interrupts() as interrupts:
        flow.start()
        while flow.is_alive():
            flow.join(LOOK_SECONDS)
            watch.look(interrupts.count)
        watch.look(interrupts.count, is_last=True)
    return Ending(
        watch.final_record(), flow.error, was_interrupted=interrupts.count > 0, routes=watch.routes(order.specification)
    )


class FlowThread(threading.Thread):
    """One run of the deploy flow."""

    def __init__(self, order: Order) -> None:
        super().__init__(name="deploy-flow")
        self._order = order
        self.flow_run: str | None = None
        self.error: BaseException | None = None
        self._telling: asyncio.Task[None] | None = None

    def run(self) -> None:
        """The flow, on an event loop of its own."""
        try:
            asyncio.run(self._deploy())
        except BaseException as error:  # noqa: BLE001 - handed to the thread that tells people
            self.error = error

    async def _deploy(self) -> None:
        from flows.deploy import deploy

        await deploy.with_options(on_running=[self._note])(
            specification=self._order.specification,
            base=str(self._order.base),
            parent=self._order.parent,
            is_rollback=self._order.is_rollback,
        )

    async def _note(self, flow: object, flow_run: object, state: object) -> None:
        """Prefect's hook: how the deployment is found in the records."""
        from flows.presence import record_process

        self.flow_run = str(getattr(flow_run, "id", ""))
        self._telling = asyncio.create_task(record_process(self.flow_run))


class Watch:
    """What the main thread does while the flow runs."""

    def __init__(self, world: World, flow: FlowThread, view: View) -> None:
        self._world, self._flow, self._view = world, flow, view
        self._follower = Follower(world, view)
        self._deployment: str | None = None
        self._heard = 0
        self._has_asked = False
        self._complaint = ""

    def look(self, interrupts: int, *, is_last: bool = False) -> None:
        """Once: find the deployment, show what is new, obey signals. A fault here must not end what is watched."""
        try:
            self._look(interrupts, is_last)
        except Exception as error:  # noqa: BLE001 - the flow goes on whoever watches
            told = f"progress cannot be shown: {type(error).__name__}: {error}"
            if told != self._complaint:
                self._complaint = told
                self._view.say(told)

    def _look(self, interrupts: int, is_last: bool) -> None:
        if self._deployment is None and self._flow.flow_run:
            self._deployment = self._find(self._flow.flow_run)
        if interrupts > self._heard:
            self._view.say(self._answer())
            self._heard = interrupts
        if self._heard and not self._has_asked and self._deployment is not None:
            self._ask_to_cancel(self._deployment)
        if self._deployment is not None:
            self._follower.look(self._deployment, is_last=is_last)

    def final_record(self) -> Deployment | None:
        """As it is recorded now; None when there is no record, or it cannot be read."""
        if self._deployment is None:
            return None
        try:
            return self._world.records.deployments.get(self._deployment)
        except DeploymentError:
            return self._follower.record

    def routes(self, specification: DeploymentSpecification) -> dict[str, str]:
        """Where its services answer; nothing when the proxy cannot say."""
        asked = {service.name for service in specification.services}
        try:
            declared = self._world.proxy(specification.target_environment).routes()
        except DeploymentError:
            return {}
        return {route.service: f"http://127.0.0.1:{route.port}" for route in declared if route.service in asked}

    def _find(self, flow_run: str) -> str | None:
        try:
            found = self._world.records.deployments.by_flow_run(flow_run)
        except DeploymentError:
            return None
        return found.id if found else None

    def _answer(self) -> str:
        if self._heard:
            return ASKED_AGAIN
        return ASKED if self._deployment else ASKED_EARLY

    def _ask_to_cancel(self, deployment: str) -> None:
        """By the records; while those are away, of the run in this process itself."""
        self._has_asked = True
        try:
            self._world.records.commands.request(deployment, "cancel", by=user(), reason="interrupted")
        except Refused:
            return  # it has ended
        except DeploymentError:
            from tasks.runs import RUNS

            run = RUNS.get(deployment)
            if run is not None and not run.is_past_cancelling:
                run.interruption.set(Cancelled(f"{user()} interrupted it.", by=user()))
