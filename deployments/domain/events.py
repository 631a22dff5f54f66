"""What happened, in the past tense. Events are appended and never changed; a new field has a default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from deployments.domain.values import SecurityFinding, Severity


class Source(StrEnum):
    """Which part of Fairlead saw it."""

    FLOW = "flow"
    DRIVER = "driver"
    RECONCILER = "reconciler"
    CLI = "cli"
    API = "api"
    PROXY = "proxy"
    SUPERVISOR = "supervisor"


class DeploymentEventKind(StrEnum):
    """What happened to a deployment."""

    CREATED = "DeploymentCreated"
    STATUS_CHANGED = "StatusChanged"
    VALIDATED = "RuleJudged"
    PLANNED = "DeploymentPlanned"
    APPROVAL_ASKED = "ApprovalAsked"
    APPROVED = "DeploymentApproved"
    STEP_INTENDED = "StepIntended"
    STEP_DONE = "StepDone"
    STEP_FAILED = "StepFailed"
    STEP_UNDO_INTENDED = "StepUndoIntended"
    STEP_UNDONE = "StepUndone"
    STEP_UNDO_FAILED = "StepUndoFailed"
    TRAFFIC_SHIFTED = "TrafficShifted"
    TRAFFIC_RETURNED = "TrafficReturned"
    TRAFFIC_HELD = "TrafficHeld"
    TRAFFIC_RELEASED = "TrafficReleased"
    CHECK_JUDGED = "CheckJudged"
    CRITERIA_JUDGED = "CriteriaJudged"
    HANDLE_ARMED = "HandleArmed"
    HANDLE_FIRED = "HandleFired"
    MARKED_STABLE = "ReleaseMarkedStable"
    CANCEL_ASKED = "CancelAsked"
    ROLLBACK_ASKED = "RollbackAsked"
    TAKEN_OVER = "TakenOver"
    FAILED = "DeploymentFailed"
    COMPLETED = "DeploymentCompleted"
    ROLLED_BACK = "DeploymentRolledBack"
    ROLLBACK_FAILED = "RollbackFailed"


class ResourceEventKind(StrEnum):
    """What happened to a resource, a release, an instance or a route."""

    RELEASE_BUILT = "ReleaseBuilt"
    PROVISIONED = "ResourceProvisioned"
    REMOVED = "ResourceRemoved"
    INSTANCE_STARTED = "InstanceStarted"
    INSTANCE_BECAME_HEALTHY = "InstanceBecameHealthy"
    INSTANCE_KEPT_WARM = "InstanceKeptWarm"
    INSTANCE_RETIRED = "InstanceRetired"
    INSTANCE_EXITED = "InstanceExited"
    ROUTE_DECLARED = "RouteDeclared"
    ROUTE_REMOVED = "RouteRemoved"
    DRIFT_REPAIRED = "DriftRepaired"
    """What runs was brought back to what the records say, while no deployment was under way."""


class SecurityEventKind(StrEnum):
    """What happened that matters to security."""

    PERMISSION_REFUSED = "PermissionRefused"
    PRINCIPAL_UNVERIFIED = "PrincipalUnverified"
    QUARANTINED = "RevisionQuarantined"
    QUARANTINE_LIFTED = "QuarantineLifted"
    QUARANTINED_REFUSED = "QuarantinedRevisionRefused"
    INPUT_SANITISED = "InputSanitised"
    WEAKNESS_FOUND = "WeaknessFound"
    ENVIRONMENT_CHANGED = "EnvironmentRecordChanged"
    STALE_FENCE_REFUSED = "StaleFenceRefused"


@dataclass(frozen=True, slots=True)
class DeploymentEvent:
    """Something happened to a deployment. `sequence` is given by the store when it is appended."""

    kind: DeploymentEventKind
    deployment: str
    environment: str
    correlation_id: str
    source: Source
    at: datetime
    step: str | None = None
    """Key of the step it is about."""
    service: str | None = None
    message: str = ""
    data: Mapping[str, object] = field(default_factory=dict)
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class ResourceEvent:
    """Something happened to a resource, a release, an instance or a route, named by `resource`."""

    kind: ResourceEventKind
    resource: str
    environment: str
    correlation_id: str
    source: Source
    at: datetime
    deployment: str | None = None
    service: str | None = None
    message: str = ""
    data: Mapping[str, object] = field(default_factory=dict)
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """Something happened that matters to security; `principal` is who asked."""

    kind: SecurityEventKind
    principal: str
    environment: str
    correlation_id: str
    source: Source
    at: datetime
    severity: Severity = Severity.WARNING
    deployment: str | None = None
    message: str = ""
    finding: SecurityFinding | None = None
    data: Mapping[str, object] = field(default_factory=dict)
    sequence: int | None = None


Event = DeploymentEvent | ResourceEvent | SecurityEvent
