"""The one table of states and legal moves, and the states that providers report."""

from __future__ import annotations

from enum import StrEnum

from deployments.domain.errors import IllegalTransition


class DeploymentStatus(StrEnum):
    """Where a deployment is."""

    PENDING = "pending"
    QUEUED = "queued"
    VALIDATING = "validating"
    AWAITING_APPROVAL = "awaiting_approval"
    PREPARING = "preparing"
    PROVISIONING = "provisioning"
    DEPLOYING = "deploying"
    TESTING = "testing"
    MONITORING = "monitoring"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"

    @property
    def is_final(self) -> bool:
        """Nothing drives it any more."""
        return self in FINAL

    @property
    def is_active(self) -> bool:
        """It is on its way forward."""
        return self in ACTIVE


S = DeploymentStatus
ENDED = frozenset({S.FAILED, S.CANCELLED, S.TIMED_OUT})
FINAL = frozenset({S.COMPLETED, S.ROLLED_BACK, S.ROLLBACK_FAILED}) | ENDED
FORWARD: dict[DeploymentStatus, frozenset[DeploymentStatus]] = {
    S.PENDING: frozenset({S.QUEUED}),
    S.QUEUED: frozenset({S.VALIDATING}),
    S.VALIDATING: frozenset({S.AWAITING_APPROVAL, S.PREPARING}),
    S.AWAITING_APPROVAL: frozenset({S.PREPARING}),
    S.PREPARING: frozenset({S.PROVISIONING}),
    S.PROVISIONING: frozenset({S.DEPLOYING, S.COMPLETED}),
    S.DEPLOYING: frozenset({S.TESTING, S.PAUSED}),
    S.TESTING: frozenset({S.MONITORING}),
    S.MONITORING: frozenset({S.COMPLETED, S.PAUSED}),
    S.PAUSED: frozenset({S.DEPLOYING, S.MONITORING}),
}
ACTIVE = frozenset(FORWARD)
LEGAL: dict[DeploymentStatus, frozenset[DeploymentStatus]] = {
    **{state: moves | ENDED for state, moves in FORWARD.items()},
    S.COMPLETED: frozenset(),
    S.FAILED: frozenset({S.ROLLING_BACK}),
    S.CANCELLED: frozenset({S.ROLLING_BACK}),
    S.TIMED_OUT: frozenset({S.ROLLING_BACK}),
    S.ROLLING_BACK: frozenset({S.ROLLED_BACK, S.ROLLBACK_FAILED}),
    S.ROLLBACK_FAILED: frozenset({S.ROLLING_BACK}),
    S.ROLLED_BACK: frozenset(),
}


def check_transition(present: DeploymentStatus, target: DeploymentStatus) -> None:
    """Raise IllegalTransition unless the table allows the move."""
    if target not in LEGAL[present]:
        allowed = ", ".join(sorted(LEGAL[present])) or "nothing: it is final"
        raise IllegalTransition(
            f"A deployment that is {present} cannot become {target}.",
            remedy=f"From {present} it can become: {allowed}.",
            present=present.value,
            target=target.value,
        )


class Reason(StrEnum):
    """Why a deployment is in its state, apart from the message for people."""

    NONE = "none"
    REQUESTED = "requested"
    REFUSED = "refused"
    BUILD_FAILED = "build_failed"
    NEVER_HEALTHY = "never_healthy"
    CHECK_FAILED = "check_failed"
    CRITERIA_BREACHED = "criteria_breached"
    CANCELLED = "cancelled"
    DEADLINE = "deadline"
    CONTROLLER_LOST = "controller_lost"
    LEASE_LOST = "lease_lost"
    HANDLE_TRIPPED = "handle_tripped"
    UNAVAILABLE = "unavailable"
    BROKEN = "broken"
    UNDO_FAILED = "undo_failed"
    NOTHING_TO_DO = "nothing_to_do"


class BuildStatus(StrEnum):
    """What a provider reports for one release."""

    CREATED = "created"
    QUEUED = "queued"
    INITIALIZING = "initializing"
    BUILDING = "building"
    DEPLOYING = "deploying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    TIMEOUT = "timeout"


def read_build_status(reported: str, last: BuildStatus) -> BuildStatus:
    """The reported state, or the last known one when a provider says something new."""
    try:
        return BuildStatus(reported.strip().lower())
    except ValueError:
        return last
