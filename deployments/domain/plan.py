"""A plan: typed steps grouped by phase, what they change, and how risky that is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from deployments.domain.steps import Phase, Step


class ChangeKind(StrEnum):
    """What happens to a service."""

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class ServiceChange:
    """What happens to one service, and the revision it will run."""

    service: str
    kind: ChangeKind
    version: str
    release: str
    revision: str
    instances: tuple[str, ...]
    """Of the new revision; warm ones that are reused included."""
    previous: tuple[str, ...] = ()
    """Instances that serve before."""
    previous_version: str | None = None
    reused: bool = False
    """True when warm instances of this revision serve again."""
    strategy: str = "blue_green"


@dataclass(frozen=True, slots=True)
class RiskPoint:
    """Points of risk, and the observed fact they come from."""

    points: int
    fact: str


@dataclass(frozen=True, slots=True)
class Reversibility:
    """How fast the deployment comes back, and until when."""

    until: str
    """Key of the last step before which everything can be undone."""
    traffic_returns_in: timedelta
    """Expected time from the decision until the old release has all traffic."""
    loses: tuple[str, ...] = ()
    """Services that cannot come back without a pause (recreate), and why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be done, in which order."""

    environment: str
    changes: tuple[ServiceChange, ...]
    steps: tuple[Step, ...]
    risk: tuple[RiskPoint, ...] = ()
    reversibility: Reversibility | None = None
    warnings: tuple[str, ...] = ()
    is_rollback: bool = False
    waves: tuple[tuple[str, ...], ...] = ()
    """Services by depth in the dependency graph; everything within a wave is independent."""
    summary: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """The environment is already as asked."""
        return not self.steps

    @property
    def risk_score(self) -> int:
        """Sum of the points, at most 100."""
        return min(100, sum(point.points for point in self.risk))

    def of_phase(self, phase: Phase) -> tuple[Step, ...]:
        """The steps of one phase, in plan order."""
        return tuple(step for step in self.steps if step.phase is phase)

    def step(self, key: str) -> Step:
        """The step of this key. Raises KeyError."""
        for step in self.steps:
            if step.key == key:
                return step
        raise KeyError(key)

    def change(self, service: str) -> ServiceChange:
        """What happens to a service. Raises KeyError."""
        for change in self.changes:
            if change.service == service:
                return change
        raise KeyError(service)


def ready_steps(
    steps: Iterable[Step], done: frozenset[str] | set[str], started: frozenset[str] | set[str]
) -> list[Step]:
    """Steps of the given ones that are not started and whose predecessors among them are all done."""
    steps = tuple(steps)
    here = {step.key for step in steps}
    return [
        step
        for step in steps
        if step.key not in started and step.key not in done and all(k in done for k in step.after if k in here)
    ]
