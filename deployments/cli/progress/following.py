"""Follows one deployment in the records, the proxy and the meter. It reads, and decides nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from deployments.cli.progress.board import Board
from deployments.cli.progress.showing import View
from deployments.domain.errors import DeploymentError

if TYPE_CHECKING:
    from deployments.domain.entities import Deployment
    from deployments.driver.world import World

TRAFFIC_SECONDS = 0.5


class Follower:
    """Looks when it is asked to."""

    def __init__(self, world: World, view: View) -> None:
        """Follows nothing yet."""
        self.board = Board()
        self.record: Deployment | None = None
        self._world, self._view = world, view
        self._after = 0
        self._has_plan = False
        self._traffic_at = 0.0
        self._is_away = False

    def look(self, deployment: str, *, is_last: bool = False) -> None:
        """Once; the last look asks for the traffic too.

        What is away now is looked at again next time: watching must not end what is watched.
        """
        self._traffic_at = 0.0 if is_last else self._traffic_at
        try:
            self._read(deployment)
        except DeploymentError as error:
            self.board.message = error.message
            if not self._is_away:
                self._view.say(f"{error.message} The deployment waits for it, or comes back once it answers.")
            self._is_away = True
        else:
            if self._is_away:
                self._view.say("It answers again.")
            self._is_away = False

    def _read(self, deployment: str) -> None:
        records = self._world.records
        events = records.events.read(after=self._after, deployment=deployment)
        self.record = records.deployments.get(deployment)
        self.board.see_record(self.record)
        if not self._has_plan and self.record.steps_total:
            self.board.see_plan(records.deployments.plan(deployment) or {})
            self._has_plan = True
        self.board.see_events(events)
        if events:
            self._after = events[-1].sequence or self._after
        if self._view.wants_traffic:
            self._look_at_traffic(self.record)
        self._view.show(self.board, events)

    def _look_at_traffic(self, record: Deployment) -> None:
        if time.monotonic() - self._traffic_at < TRAFFIC_SECONDS:
            return
        self._traffic_at = time.monotonic()
        proxy = self._world.proxy(record.environment)
        for route in proxy.routes():
            if route.service in self.board.services:
                self.board.see_traffic(route.service, proxy.backends(route.service))
        self.board.see_counts(self._world.meter(record.environment).read(since=record.created_at))
