"""The kinds of deployment that Prefect's edges are tried on: each begins one that is in flight until it is let go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from prefect.client.schemas.objects import FlowRun, StateType

from deployments.domain.entities import InstanceLife
from deployments.domain.status import DeploymentStatus
from tests.fakes.runner_process import wait_until
from tests.flows.house import House

ENVIRONMENTS = ("production", "staging")
FRESH = ("development", "preview", "production")
"""Where a first deployment may complete, once each; it never does in staging."""
HOUR, SOON = {"bake": "1h"}, {"bake": "3s"}


@dataclass(frozen=True, slots=True)
class Begun:
    """A deployment in flight: what serves without it, and what will with it. Nothing serves before a first one."""

    run: FlowRun
    environment: str
    before: str
    after: str
    hold: Path | None = None

    def let_go(self) -> None:
        """From here on it may complete."""
        if self.hold is not None:
            self.hold.unlink()


class Upgrade:
    """By one strategy: the new release serves and is being watched."""

    def __init__(self, house: House, strategy: Mapping[str, Any]) -> None:
        """Something to upgrade, in two environments."""
        self._house = house
        self._strategy = strategy
        self._versions = (f"{number}.0.0" for number in count(1))
        for environment in ENVIRONMENTS:
            self._move_in(environment)

    def begin(self, environment: str = "production", *, completes: bool = False) -> Begun:
        """In flight for an hour; one that is to complete is so until it is let go, or for some seconds."""
        before, version = self._house.page(environment), next(self._versions)
        criteria = SOON if completes else HOUR
        run = self._house.trigger(self._specification(version, environment, success_criteria=criteria))
        self._house.until_status(run, DeploymentStatus.MONITORING)
        begun = Begun(run, environment, before, f"version {version}")
        wait_until(lambda: self._house.page(environment) == begun.after, "the new release serves", self._house.log)
        return begun

    def begin_another(self, environment: str = "production") -> FlowRun:
        """It waits for its environment, if one is in flight."""
        return self._house.trigger(self._specification(next(self._versions), environment))

    def _move_in(self, environment: str) -> None:
        self._complete(environment)

    def _complete(self, environment: str, service: Mapping[str, Any] | None = None, **changes: Any) -> str:
        version = next(self._versions)
        run = self._house.trigger(self._specification(version, environment, service, **changes))
        self._house.until(run, StateType.COMPLETED)
        return f"version {version}"

    def _specification(
        self, version: str, environment: str, service: Mapping[str, Any] | None = None, **changes: Any
    ) -> dict[str, Any]:
        own = {"deployment_strategy": self._strategy, **(service or {})}
        return self._house.specification(version, environment, own, **changes)


class First(Upgrade):
    """Of a service that was never there. What completes has an environment of its own."""

    def __init__(self, house: House, strategy: Mapping[str, Any]) -> None:
        """Nothing is there."""
        super().__init__(house, strategy)
        self._fresh = iter(FRESH)

    def begin(self, environment: str = "production", *, completes: bool = False) -> Begun:
        """As an upgrade does."""
        return super().begin(next(self._fresh) if completes else "staging", completes=completes)

    def _move_in(self, environment: str) -> None:
        """Nobody does."""


class Rollback(Upgrade):
    """A run of the flow `rollback`, held while the health check of the release that it returns to fails."""

    def __init__(self, house: House, strategy: Mapping[str, Any]) -> None:
        """Something to return from, and something to return to."""
        self._targets: dict[str, str] = {}
        super().__init__(house, strategy)

    def begin(self, environment: str = "production", *, completes: bool = False) -> Begun:
        """In flight until it is let go, whether it is to complete or not."""
        if self._house.page(environment) == self._targets[environment]:
            self._move_in(environment)
        before, hold = self._house.page(environment), self._hold(environment)
        hold.touch()
        run = self.begin_another(environment)
        self._house.until_status(run, DeploymentStatus.DEPLOYING)
        wait_until(lambda: self._is_starting(environment), "the release it returns to starts", self._house.log)
        return Begun(run, environment, before, self._targets[environment], hold)

    def begin_another(self, environment: str = "production") -> FlowRun:
        """It waits for its environment, if one is in flight."""
        rollback = self._house.client.read_deployment_by_name("rollback/any")
        return self._house.client.create_flow_run_from_deployment(rollback.id, parameters={"environment": environment})

    def _move_in(self, environment: str) -> None:
        """Two releases; the first can be held, and does not stay warm."""
        check = {"probe": {"kind": "command", "command": ["/bin/sh", "-c", f"! test -e {self._hold(environment)}"]}}
        held = {"health_checks": [check], "timing": {"healthy_deadline": "30m", "progress_deadline": "1h"}}
        self._hold(environment).unlink(missing_ok=True)
        self._targets[environment] = self._complete(environment, held)
        self._complete(environment, rollback_procedures={"keep_previous_warm": "0s"})

    def _hold(self, environment: str) -> Path:
        return self._house.home / f"hold-{environment}"

    def _is_starting(self, environment: str) -> bool:
        instances = self._house.records.instances.of_environment(environment)
        return any(each.state is InstanceLife.STARTING for each in instances)


BLUE_GREEN = {"kind": "blue_green"}
KINDS: dict[str, Callable[[House], Upgrade]] = {
    "blue_green": partial(Upgrade, strategy=BLUE_GREEN),
    "rolling": partial(Upgrade, strategy={"kind": "rolling"}),
    "recreate": partial(Upgrade, strategy={"kind": "recreate", "hold": "30s"}),
    "rollback": partial(Rollback, strategy=BLUE_GREEN),
    "first": partial(First, strategy=BLUE_GREEN),
}
LEFT_OUT: dict[tuple[str, str], str] = {}
"""Why an edge is not run for a kind, by the test's name and the kind's."""
