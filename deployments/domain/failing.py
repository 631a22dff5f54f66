"""What an error means for the deployment it ends: its status, its reason, whether the revision is to blame."""

from __future__ import annotations

from deployments.domain import errors
from deployments.domain.status import DeploymentStatus, Reason

REASONS: tuple[tuple[type[BaseException], Reason], ...] = (
    (errors.ControllerLost, Reason.CONTROLLER_LOST),
    (errors.Cancelled, Reason.CANCELLED),
    (errors.DeadlinePassed, Reason.DEADLINE),
    (errors.HandleTripped, Reason.HANDLE_TRIPPED),
    (errors.LeaseLost, Reason.LEASE_LOST),
    (errors.BuildFailed, Reason.BUILD_FAILED),
    (errors.NeverHealthy, Reason.NEVER_HEALTHY),
    (errors.InstanceExited, Reason.NEVER_HEALTHY),
    (errors.CheckFailed, Reason.CHECK_FAILED),
    (errors.CriteriaBreached, Reason.CRITERIA_BREACHED),
    (errors.Refused, Reason.REFUSED),
    (errors.Unavailable, Reason.UNAVAILABLE),
)
BLAMED = frozenset({Reason.NEVER_HEALTHY, Reason.CHECK_FAILED, Reason.CRITERIA_BREACHED})


def reason_of(error: BaseException) -> Reason:
    """The reason an error stands for; BROKEN for the unexpected."""
    for kind, reason in REASONS:
        if isinstance(error, kind):
            return reason
    return Reason.BROKEN


def status_of(error: BaseException) -> DeploymentStatus:
    """Cancelled when a person asked, timed out at a deadline, failed otherwise."""
    match reason_of(error):
        case Reason.CANCELLED:
            return DeploymentStatus.CANCELLED
        case Reason.DEADLINE:
            return DeploymentStatus.TIMED_OUT
        case _:
            return DeploymentStatus.FAILED


def blames_revision(reason: Reason) -> bool:
    """Whether the new revision itself was bad, so that it is quarantined."""
    return reason in BLAMED
