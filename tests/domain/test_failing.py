"""What an error makes of the deployment that it ends."""

from __future__ import annotations

import pytest

from deployments.domain import errors
from deployments.domain.failing import BLAMED, REASONS, blames_revision, reason_of, status_of
from deployments.domain.status import DeploymentStatus, Reason


@pytest.mark.parametrize(
    ("error", "reason", "status"),
    [
        (errors.Cancelled(), Reason.CANCELLED, DeploymentStatus.CANCELLED),
        (errors.ControllerLost(), Reason.CONTROLLER_LOST, DeploymentStatus.FAILED),
        (errors.DeadlinePassed(), Reason.DEADLINE, DeploymentStatus.TIMED_OUT),
        (errors.HandleTripped(), Reason.HANDLE_TRIPPED, DeploymentStatus.FAILED),
        (errors.LeaseLost(), Reason.LEASE_LOST, DeploymentStatus.FAILED),
        (errors.BuildFailed(), Reason.BUILD_FAILED, DeploymentStatus.FAILED),
        (errors.NeverHealthy(), Reason.NEVER_HEALTHY, DeploymentStatus.FAILED),
        (errors.InstanceExited(), Reason.NEVER_HEALTHY, DeploymentStatus.FAILED),
        (errors.CheckFailed(), Reason.CHECK_FAILED, DeploymentStatus.FAILED),
        (errors.CriteriaBreached(), Reason.CRITERIA_BREACHED, DeploymentStatus.FAILED),
        (errors.Refused(), Reason.REFUSED, DeploymentStatus.FAILED),
        (errors.ValidationFailed(), Reason.REFUSED, DeploymentStatus.FAILED),
        (errors.SecurityError(), Reason.REFUSED, DeploymentStatus.FAILED),
        (errors.ProxyUnavailable(), Reason.UNAVAILABLE, DeploymentStatus.FAILED),
        (errors.DatabaseUnavailable(), Reason.UNAVAILABLE, DeploymentStatus.FAILED),
        (errors.DiskFull(), Reason.UNAVAILABLE, DeploymentStatus.FAILED),
        (errors.VersionConflict(), Reason.BROKEN, DeploymentStatus.FAILED),
        (KeyError("unexpected"), Reason.BROKEN, DeploymentStatus.FAILED),
        (KeyboardInterrupt(), Reason.BROKEN, DeploymentStatus.FAILED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value.value),
)
def test_an_error_has_a_reason_and_a_status(error: BaseException, reason: Reason, status: DeploymentStatus) -> None:
    assert reason_of(error) is reason
    assert status_of(error) is status


@pytest.mark.parametrize("reason", list(Reason))
def test_only_a_release_that_was_tried_and_found_bad_is_blamed(reason: Reason) -> None:
    blamed = {Reason.NEVER_HEALTHY, Reason.CHECK_FAILED, Reason.CRITERIA_BREACHED}
    assert blames_revision(reason) == (reason in blamed)
    assert blamed == BLAMED


def test_no_row_is_hidden_by_one_above_it() -> None:
    for index, (kind, _) in enumerate(REASONS):
        assert not any(issubclass(kind, earlier) for earlier, _ in REASONS[:index])
