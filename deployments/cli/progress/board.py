"""What is shown of one deployment, gathered from its record, its events, the proxy and the meter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deployments.cli.progress.words import UNDO, step_words
from deployments.domain.events import DeploymentEvent, DeploymentEventKind, Event

if TYPE_CHECKING:
    from deployments.domain.entities import Deployment
    from deployments.domain.ports import BackendState, MeterReport

PHASES = ("validation", "preparation", "deployment", "testing", "completion")
PHASE_OF_STATUS = {
    "pending": 0,
    "queued": 0,
    "validating": 0,
    "awaiting_approval": 0,
    "preparing": 1,
    "provisioning": 1,
    "deploying": 2,
    "paused": 2,
    "testing": 3,
    "monitoring": 3,
    "completed": 5,
}
BEGUN = frozenset({DeploymentEventKind.STEP_INTENDED, DeploymentEventKind.STEP_UNDO_INTENDED})
ENDED = frozenset({DeploymentEventKind.STEP_DONE, DeploymentEventKind.STEP_UNDONE})


@dataclass(slots=True)
class ServiceRow:
    """One service. `split` is shares of traffic by revision, as the proxy reports; counts are since the start."""

    name: str
    version: str
    previous: str | None = None
    revision: str = ""
    change: str = ""
    doing: str = "waiting"
    split: Mapping[str, float] = field(default_factory=dict)
    requests: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Board:
    """The whole picture."""

    title: str = ""
    status: str = "starting"
    message: str = ""
    services: dict[str, ServiceRow] = field(default_factory=dict)
    steps: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    """By key: phase and service."""
    done: set[str] = field(default_factory=set)
    under_way: dict[str, str] = field(default_factory=dict)
    """By key: what is being done, in words."""
    reached: int = -1
    """The furthest phase that was entered."""
    lost: int = 0
    """Requests that the meter knows it did not count."""

    def see_record(self, record: Deployment) -> None:
        """Status, name and services."""
        self.title = f"{record.name} to {record.environment}"
        self.status, self.message = record.status.value, record.message
        self.reached = max(self.reached, PHASE_OF_STATUS.get(self.status, -1))
        if self.status not in PHASE_OF_STATUS:  # on the way back, or ended: nothing goes forward any more
            self.under_way = {key: words for key, words in self.under_way.items() if key.startswith(UNDO)}
        for name, version in record.services:
            self.services.setdefault(name, ServiceRow(name, version))

    def see_plan(self, plan: Mapping[str, object]) -> None:
        """What changes, and the steps by phase."""
        for change in objects(plan.get("changes")):
            row = self.services.setdefault(str(change["service"]), ServiceRow(str(change["service"]), ""))
            row.version, row.revision = str(change["version"]), str(change["revision"])
            row.change = str(change["kind"])
            previous = change.get("previous_version")
            row.previous = None if previous is None else str(previous)
            row.doing = "unchanged" if row.change == "unchanged" else "waiting"
        for step in objects(plan.get("steps")):
            service = step.get("service")
            self.steps[str(step["key"])] = (str(step["phase"]), None if service is None else str(service))

    def see_events(self, events: Iterable[Event]) -> None:
        """Which steps are done, and which are under way."""
        for event in events:
            if not isinstance(event, DeploymentEvent) or event.step is None:
                continue
            words = step_words(event.step, is_done=event.kind in ENDED)
            if event.kind in BEGUN and (self.status in PHASE_OF_STATUS or event.step.startswith(UNDO)):
                self.under_way[event.step] = words
            elif event.kind in ENDED:
                self.done.add(event.step)
                self.under_way.pop(event.step, None)
            service = self.service_of(event.step)
            if service in self.services:
                self.services[service].doing = words

    def see_traffic(self, service: str, backends: Iterable[BackendState]) -> None:
        """Shares by revision, from the weights that the proxy reports."""
        weights: dict[str, int] = {}
        for backend in backends:
            weights[backend.endpoint.revision] = weights.get(backend.endpoint.revision, 0) + backend.weight
        total = sum(weights.values())
        if service in self.services:
            self.services[service].split = {name: weight / total for name, weight in weights.items() if total}

    def see_counts(self, report: MeterReport) -> None:
        """Requests and errors by revision."""
        for row in self.services.values():
            readings = [reading for reading in report.readings if reading.service == row.name]
            row.requests = {reading.revision: reading.requests for reading in readings}
            row.errors = {reading.revision: reading.errors for reading in readings}
        self.lost = report.lost

    def service_of(self, key: str) -> str:
        """The service a step is about, undo steps included; empty when it is about all."""
        if key in self.steps:
            return self.steps[key][1] or ""
        rest = key.removeprefix(UNDO).partition(":")[2]
        return max((name for name in self.services if rest == name or rest.startswith(f"{name}-")), key=len, default="")

    def phases(self) -> list[tuple[str, str]]:
        """Each phase with how far it is: `done`, `3/9`, or nothing."""
        shown = []
        for index, phase in enumerate(PHASES):
            keys = [key for key, (of, _) in self.steps.items() if of == phase]
            done = len(self.done.intersection(keys))
            if self.reached > index or (keys and done == len(keys)):
                shown.append((phase, "done"))
            elif keys and (done or self.reached == index):
                shown.append((phase, f"{done}/{len(keys)}"))
            else:
                shown.append((phase, "now" if self.reached == index else ""))
        return shown


def objects(found: object) -> list[Mapping[str, object]]:
    """The mappings in a list of a JSON document."""
    return [part for part in found if isinstance(part, Mapping)] if isinstance(found, list | tuple) else []
