"""What is remembered. Deployment and Environment are aggregates: status, progress and parts are asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from deployments.domain.environment import EnvironmentRecord
from deployments.domain.status import DeploymentStatus, Reason


class InstanceLife(StrEnum):
    """Where an instance is in its life: `warm` runs without traffic, until its `retire_at`."""

    STARTING = "starting"
    SERVING = "serving"
    WARM = "warm"
    RETIRED = "retired"


class ComponentKind(StrEnum):
    """What a deployment or an incident can affect."""

    SERVICE = "service"
    ROUTE = "route"
    RESOURCE = "resource"


@dataclass(frozen=True, slots=True, order=True)
class Component:
    """One thing that is affected, by kind and name."""

    kind: ComponentKind
    name: str


@dataclass(frozen=True, slots=True)
class Progress:
    """Steps done of those planned. An empty plan is done."""

    done: int
    total: int

    @property
    def share(self) -> float:
        """0.0 to 1.0."""
        return min(1.0, self.done / self.total) if self.total else 1.0


@dataclass(frozen=True, slots=True)
class Project:
    """Owner of services, environments and grants."""

    name: str
    created_at: datetime
    description: str = ""
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """The immutable built artefact of one service at one version, named by its digest."""

    digest: str
    service: str
    version: str
    path: str
    size_bytes: int
    built_at: datetime
    deployment: str | None = None
    """The deployment that built it."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One running copy of a release. `program` is all that is needed to start it again."""

    id: str
    environment: str
    service: str
    revision: str
    release: str
    deployment: str
    port: int | None
    state: InstanceLife
    created_at: datetime
    retire_at: datetime | None = None
    program: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Route:
    """A service's public address, and the preview address that reaches its newest release only."""

    environment: str
    service: str
    port: int
    preview_port: int
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Resource:
    """Something provisioned on the machine, with what a service needs to use it."""

    environment: str
    name: str
    kind: str
    key: str
    values: Mapping[str, str]
    deployment: str
    created_at: datetime
    is_temporary: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """What one environment has marked stable for a service."""

    environment: str
    name: str
    version: str
    release: str
    revision: str
    deployment: str
    stable_since: datetime


@dataclass(frozen=True, slots=True)
class Deployment:
    """One attempt to bring an environment to a specification."""

    id: str
    project: str
    environment: str
    name: str
    status: DeploymentStatus
    created_by: str
    correlation_id: str
    created_at: datetime
    updated_at: datetime
    reason: Reason = Reason.NONE
    message: str = ""
    parent: str | None = None
    """The deployment this one repeats or takes back."""
    retry: int = 0
    flow_run: str | None = None
    is_rollback: bool = False
    finished_at: datetime | None = None
    version: int = 0
    """Optimistic: grows with each change of the row."""
    fence: int = 0
    specification: Mapping[str, object] = field(default_factory=dict)
    services: tuple[tuple[str, str], ...] = ()
    """Name and version of each."""
    steps_done: int = 0
    steps_total: int = 0

    @property
    def progress(self) -> Progress:
        """How far it is; a completed one is done whatever was planned."""
        if self.status is DeploymentStatus.COMPLETED:
            return Progress(self.steps_total, self.steps_total)
        return Progress(self.steps_done, self.steps_total)

    @property
    def is_final(self) -> bool:
        """Nothing drives it any more."""
        return self.status.is_final

    @property
    def was_successful(self) -> bool:
        """The environment was brought to its specification."""
        return self.status is DeploymentStatus.COMPLETED

    def affected_components(self) -> tuple[Component, ...]:
        """Its services with their routes, and the resources it asks for, in the specification's order."""
        services = [Component(ComponentKind.SERVICE, name) for name, _ in self.services]
        return (*services, *self._routes(), *self._resources())

    def _routes(self) -> list[Component]:
        return [
            Component(ComponentKind.ROUTE, str(part["name"]))
            for part in _parts(self.specification, "services")
            if part.get("type", "web") == "web"
        ]

    def _resources(self) -> list[Component]:
        return [
            Component(ComponentKind.RESOURCE, str(part["name"]))
            for part in _parts(self.specification, "resource_requirements")
        ]


class EnvironmentStatus(StrEnum):
    """How an environment is, from best to worst."""

    EMPTY = "empty"
    STABLE = "stable"
    CHANGING = "changing"
    RETURNING = "returning"
    NEEDS_A_PERSON = "needs_a_person"


@dataclass(frozen=True, slots=True)
class Environment:
    """A target of deployments with what it holds. `latest` is its newest deployment, `current` one not yet final."""

    record: EnvironmentRecord
    services: tuple[Service, ...] = ()
    instances: tuple[Instance, ...] = ()
    routes: tuple[Route, ...] = ()
    resources: tuple[Resource, ...] = ()
    current: Deployment | None = None
    latest: Deployment | None = None

    @property
    def name(self) -> str:
        """Its name."""
        return self.record.name

    @property
    def status(self) -> EnvironmentStatus:
        """How it is."""
        if self.latest and self.latest.status is DeploymentStatus.ROLLBACK_FAILED:
            return EnvironmentStatus.NEEDS_A_PERSON
        if self.current:
            is_returning = self.current.status is DeploymentStatus.ROLLING_BACK or self.current.is_rollback
            return EnvironmentStatus.RETURNING if is_returning else EnvironmentStatus.CHANGING
        return EnvironmentStatus.STABLE if self.services else EnvironmentStatus.EMPTY

    @property
    def progress(self) -> Progress:
        """Of the deployment under way; done when there is none."""
        return self.current.progress if self.current else Progress(0, 0)

    def affected_components(self) -> tuple[Component, ...]:
        """What the deployment under way may change; nothing when there is none."""
        return self.current.affected_components() if self.current else ()

    def serving(self, service: str) -> tuple[Instance, ...]:
        """The instances of a service that receive traffic."""
        return tuple(i for i in self.instances if i.service == service and i.state is InstanceLife.SERVING)


def _parts(specification: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    found = specification.get(name)
    return (
        [part for part in found if isinstance(part, Mapping) and "name" in part]
        if isinstance(found, (list, tuple))
        else []
    )
