"""The whole of what one deployment is asked to bring about."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from deployments.domain.spec.model import Duration, Name, Part, Percentile, Text, Word
from deployments.domain.spec.service import Configuration, ServiceSpecification


class Metadata(Part):
    """Where the change comes from; shown in history and reports."""

    repository: Word | None = None
    """Where its code is kept."""
    commit: Word | None = None
    """The commit it was made from."""
    author: Word | None = None
    """Who made the change."""
    message: Text | None = None
    """What the change is for."""


class ResourceKind(StrEnum):
    """What can be provisioned on the machine itself."""

    DIRECTORY = "directory"
    PORT = "port"
    DATABASE = "database"


class ResourceRequirement(Part):
    """A local resource made before the services start and kept across deployments: `{resource.NAME}` names it."""

    name: Name
    """Unique within the environment."""
    kind: ResourceKind
    """`directory`, `port` or `database`: `{resource.NAME}` is its path, its number or its address."""
    temporary: bool = False
    """Removed when the deployment completes."""


class WhenUnmeasured(StrEnum):
    """What to conclude when too few requests came to judge."""

    PASS = "pass"
    FAIL = "fail"


class SuccessCriteria(Part):
    """What the new releases must hold on the public routes during the bake time."""

    bake: Duration = timedelta(seconds=5)
    """How long they are watched with the old releases warm."""
    error_rate: Annotated[float, Field(strict=True, ge=0, le=1)] = 0.01
    """Highest share of answers that are 5xx or never came."""
    latency_ms: dict[Percentile, Annotated[float, Field(strict=True, gt=0)]] = Field(default_factory=dict)
    """Highest latency by percentile."""
    minimum_requests: Annotated[int, Field(strict=True, ge=1)] = 20
    """Fewer requests than this judge nothing."""
    when_unmeasured: WhenUnmeasured = WhenUnmeasured.PASS
    """What to conclude when too few requests came to judge."""


class RollbackProcedures(Part):
    """How this deployment comes back."""

    automatic: bool = True
    """Undo by itself when it fails; if not, traffic returns at once and the rest waits for `rollback --resume`."""
    keep_previous_warm: Duration = timedelta(minutes=10)
    """How long the previous stable instances keep running after completion."""
    drain: Duration = timedelta(seconds=30)
    """How long an instance without traffic may finish its open requests."""
    stop_grace: Duration = timedelta(seconds=10)
    """Between SIGTERM and SIGKILL."""


class OnControllerLost(StrEnum):
    """What the next controller does with a deployment whose own was lost before completion."""

    UNDO = "undo"
    RESUME = "resume"


class EmergencyProcedures(Part):
    """What happens when nothing goes as planned."""

    on_controller_lost: OnControllerLost = OnControllerLost.UNDO
    """Whether a deployment whose controller was lost comes back or goes on."""
    contact: Word | None = None
    """Named in the message when an undo cannot be finished."""


class DeploymentSpecification(Part):
    """One attempt to bring an environment to this state: completely, or not at all."""

    project: Name
    """Owner of the services and the environment."""
    name: Name | None = None
    """Unique among an environment's deployments; generated unless given."""
    description: Text = ""
    """What it is for, in words."""
    created_by: Word | None = None
    """Who asks, where a trigger states it; unverified. Else the operating system's user."""
    correlation_id: Word | None = None
    """Ties its events to those of the system that asked; generated unless given."""
    metadata: Metadata = Metadata()
    """Where the change comes from."""
    target_environment: Name
    """The environment that is brought to this state."""
    services: tuple[ServiceSpecification, ...] = Field(min_length=1, max_length=10_000)
    """What runs there. Services of the environment that are not named stay as they are."""
    activation_order: tuple[Name, ...] = ()
    """Order in which traffic moves, naming every service once; derived from the dependencies unless given."""
    resource_requirements: tuple[ResourceRequirement, ...] = Field(default=(), max_length=1000)
    """Local resources made before the services start."""
    configuration_overrides: dict[Name, Configuration] = Field(default_factory=dict)
    """Per service, laid over its own configuration."""
    success_criteria: SuccessCriteria = SuccessCriteria()
    """What the new releases must hold before they are stable."""
    rollback_procedures: RollbackProcedures = RollbackProcedures()
    """How it comes back."""
    emergency_procedures: EmergencyProcedures = EmergencyProcedures()
    """What happens when nothing goes as planned."""
    skip_deploy: bool = False
    """Build the releases and stop there."""

    def service(self, name: str) -> ServiceSpecification:
        """The service of this name. Raises KeyError."""
        for service in self.services:
            if service.name == name:
                return service
        raise KeyError(name)
