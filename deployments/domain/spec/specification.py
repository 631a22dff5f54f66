"""The whole of what one deployment is asked to bring about."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from deployments.domain.spec.model import Duration, Name, Part, Text, Word
from deployments.domain.spec.service import Configuration, ServiceSpecification


class Metadata(Part):
    """Where the change comes from; shown in history and reports."""

    repository: Word | None = None
    commit: Word | None = None
    author: Word | None = None
    message: Text | None = None


class ResourceKind(StrEnum):
    """What can be provisioned on the machine itself."""

    DIRECTORY = "directory"
    PORT = "port"
    DATABASE = "database"


class ResourceRequirement(Part):
    """A local resource made before the services start and kept across deployments: `{resource.NAME}` names it."""

    name: Name
    kind: ResourceKind
    temporary: bool = False
    """Removed when the deployment completes."""


class WhenUnmeasured(StrEnum):
    """What to conclude when too few requests came to judge."""

    PASS = "pass"
    FAIL = "fail"


class SuccessCriteria(Part):
    """What the new releases must hold on the public routes during the bake time."""

    bake: Duration = timedelta(seconds=5)
    error_rate: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Highest share of answers that are 5xx or never came."""
    latency_ms: dict[Annotated[str, Field(pattern=r"^(p50|p90|p95|p99|max)$")], Annotated[float, Field(gt=0)]] = {}
    """Highest latency by percentile."""
    minimum_requests: Annotated[int, Field(ge=1)] = 20
    """Fewer requests than this judge nothing."""
    when_unmeasured: WhenUnmeasured = WhenUnmeasured.PASS


class RollbackProcedures(Part):
    """How this deployment comes back."""

    automatic: bool = True
    """Undo by itself when it fails; otherwise traffic still returns at once and the rest waits for `fairlead rollback`."""
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
    contact: Word | None = None
    """Named in the message when an undo cannot be finished."""


class DeploymentSpecification(Part):
    """One attempt to bring an environment to this state: completely, or not at all."""

    project: Name
    name: Name | None = None
    """Unique among an environment's deployments; generated unless given."""
    description: Text = ""
    created_by: Word | None = None
    correlation_id: Word | None = None
    metadata: Metadata = Metadata()
    target_environment: Name
    services: tuple[ServiceSpecification, ...] = Field(min_length=1)
    activation_order: tuple[Name, ...] = ()
    """Order in which traffic moves; derived from the dependencies unless given."""
    resource_requirements: tuple[ResourceRequirement, ...] = ()
    configuration_overrides: dict[Name, Configuration] = {}
    """Per service, laid over its own configuration."""
    success_criteria: SuccessCriteria = SuccessCriteria()
    rollback_procedures: RollbackProcedures = RollbackProcedures()
    emergency_procedures: EmergencyProcedures = EmergencyProcedures()
    skip_deploy: bool = False
    """Build the releases and stop there."""

    def service(self, name: str) -> ServiceSpecification:
        """The service of this name. Raises KeyError."""
        for service in self.services:
            if service.name == name:
                return service
        raise KeyError(name)
