"""Which deployment a rollback returns to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from deployments.domain.entities import Deployment
from deployments.domain.errors import Refused
from deployments.domain.returning import check_target, target_before
from deployments.domain.status import DeploymentStatus, Reason

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def completed(
    name: str,
    *,
    reason: Reason = Reason.NONE,
    back_to: str | None = None,
    skip_deploy: bool = False,
    services: tuple[str, ...] = ("web",),
) -> Deployment:
    """One that was completed; `back_to` makes it a rollback."""
    return Deployment(
        id=name,
        project="shop",
        environment="staging",
        name=name,
        status=DeploymentStatus.COMPLETED,
        created_by="ann",
        correlation_id=name,
        created_at=NOW,
        updated_at=NOW,
        reason=reason,
        parent=back_to,
        is_rollback=back_to is not None,
        specification={"skip_deploy": skip_deploy},
        services=tuple((service, "1.0") for service in services),
    )


A, B, C = completed("a"), completed("b"), completed("c")
NOTHING = completed("nothing", reason=Reason.NOTHING_TO_DO)
BUILT = completed("built", skip_deploy=True)
OTHER = completed("other", services=("other",))
BACK_TO_A, BACK_TO_B = completed("x", back_to="a"), completed("y", back_to="b")


@pytest.mark.parametrize(
    ("story", "target"),
    [
        ([A, B], "a"),
        ([A, B, NOTHING], "a"),
        ([A, NOTHING, B], "a"),
        ([A, BUILT, B], "a"),
        ([A, B, C, BACK_TO_B], "a"),
        ([A, B, BACK_TO_A], None),
        ([A, B, BACK_TO_A, C], "a"),
        ([A, B, C, BACK_TO_A, NOTHING], None),
        ([A, NOTHING, B, completed("z", back_to="nothing")], None),
        ([A, B, completed("z", back_to="long ago")], "b"),
        ([A, OTHER, B], "a"),
        ([A, B, OTHER], None),
        ([A, OTHER, B, BACK_TO_A], None),
        ([OTHER, A, B, BACK_TO_A, C], "a"),
        ([A], None),
        ([], None),
    ],
    ids=[
        "the one before",
        "the same again is not before",
        "nor is it between",
        "what was only built never ran",
        "what a rollback left is not returned to",
        "a rollback to the first leaves nothing",
        "after a rollback and a new release",
        "after a rollback over two, and nothing to do",
        "back to one that found nothing to do is back to what it found",
        "back to one that is not known any more",
        "one that names other services is passed over",
        "nothing earlier names the same services",
        "a rollback leaves other services' states, and has nothing before it",
        "another service's state stays through a rollback",
        "only one",
        "none",
    ],
)
def test_a_rollback_returns_to_the_state_before_the_present_one(story: list[Deployment], target: str | None) -> None:
    newest_first = list(reversed(story))
    if target is None:
        with pytest.raises(Refused):
            target_before("staging", newest_first)
    else:
        assert target_before("staging", newest_first).id == target


@pytest.mark.parametrize("status", [DeploymentStatus.ROLLED_BACK, DeploymentStatus.DEPLOYING])
def test_a_deployment_that_never_was_stable_is_no_target(status: DeploymentStatus) -> None:
    with pytest.raises(Refused, match="never was"):
        check_target(replace(A, status=status))
