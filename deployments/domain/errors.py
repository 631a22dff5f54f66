"""What can go wrong, as classes. The family decides retries, rollback and the exit code.

DeploymentError
|-- Refused       breaks a rule; the same request will be refused again      exit 2, HTTP 422
|   `-- SecurityError   breaks a rule about who may do what                  exit 3, HTTP 403
|-- Conflict      somebody else moved first; look again                      exit 4, HTTP 409
|-- Unavailable   something outside did not answer; may be repeated          exit 5, HTTP 503
`-- Broken        repeating will not help; a person or another release must  exit 6, HTTP 500
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType


class DeploymentError(Exception):
    """A deployment could not go on."""

    def __init__(
        self,
        message: str | None = None,
        *,
        remedy: str | None = None,
        timestamp: datetime | None = None,
        **context: object,
    ) -> None:
        """`message` defaults to the first line of the class docstring; `context` holds the facts by name."""
        self.message = message or (type(self).__doc__ or type(self).__name__).strip().splitlines()[0]
        self.remedy = remedy
        self.timestamp = timestamp
        self.context: Mapping[str, object] = MappingProxyType(dict(context))
        super().__init__(f"{self.message} {remedy}" if remedy else self.message)


class Refused(DeploymentError):
    """The request breaks a rule."""


class Conflict(DeploymentError):
    """Somebody else changed this first."""


class Unavailable(DeploymentError):
    """Something outside did not answer; the same call may succeed later."""


class Broken(DeploymentError):
    """Something is broken and repeating will not help."""


class SecurityError(Refused):
    """The principal may not do this."""


class InvalidSpecification(Refused):
    """The specification has problems; every one is listed."""


class IllegalTransition(Refused):
    """The deployment cannot move from its state to the one asked for."""


class ValidationFailed(Refused):
    """A validator found a critical problem, or could not judge."""


class Quarantined(Refused):
    """This revision was rolled back here before and is quarantined."""


class NotFound(Refused):
    """There is nothing with this name."""


class LeaseHeld(Conflict):
    """Another deployment holds the environment's lease."""


class LeaseLost(Conflict):
    """This process no longer holds the environment's lease."""


class StaleFence(Conflict):
    """The data plane has seen a newer fence and refused this write."""


class HandleTripped(Conflict):
    """The dead man's handle fired: traffic is back on the stable release."""


class VersionConflict(Conflict):
    """The row changed since it was read."""


class Cancelled(Conflict):
    """Somebody asked for this deployment to be cancelled."""


class ControllerLost(Cancelled):
    """The process that drove this deployment is gone."""


class DatabaseUnavailable(Unavailable):
    """The database did not answer."""


class ProxyUnavailable(Unavailable):
    """The proxy did not answer."""


class SupervisorUnavailable(Unavailable):
    """The supervisor did not answer."""


class SourceUnavailable(Unavailable):
    """A source could not be fetched."""


class DiskFull(Unavailable):
    """There is no space left; the same call succeeds once there is."""


class DeadlinePassed(Broken):
    """A deadline has passed."""


class BuildFailed(Broken):
    """A release could not be built."""


class InstanceExited(Broken):
    """An instance ended by itself."""


class NeverHealthy(Broken):
    """An instance did not become healthy before its deadline."""


class CheckFailed(Broken):
    """A check of the new release failed."""


class CriteriaBreached(Broken):
    """The new release broke a success criterion."""


class StepInDoubt(Broken):
    """A step may or may not have happened and cannot be observed."""


class UndoFailed(Broken):
    """An undo step was refused for good; a person has to finish it."""
