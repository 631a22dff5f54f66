"""How a deployment ended, told by the record where Prefect's own trouble hides it."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from deployments.cli import failing
from deployments.cli.deploying import Ending
from deployments.cli.ending import code_of, document
from deployments.domain.entities import Deployment
from deployments.domain.errors import CheckFailed
from deployments.domain.status import DeploymentStatus, Reason

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
PREFECT_IS_AWAY = httpx.ConnectError("All connection attempts failed")
S, R = DeploymentStatus, Reason


def ending(status: DeploymentStatus, reason: Reason, error: BaseException | None = PREFECT_IS_AWAY) -> Ending:
    """One that ended while Prefect's server was away."""
    record = Deployment(
        id="d",
        project="shop",
        environment="staging",
        name="shop-1",
        status=status,
        reason=reason,
        message="api: the check answers failed.",
        created_by="ada",
        correlation_id="d",
        created_at=NOW,
        updated_at=NOW,
        finished_at=NOW if status.is_final else None,
    )
    return Ending(record, error)


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        pytest.param(S.ROLLED_BACK, R.CHECK_FAILED, failing.BROKEN, id="a bad release"),
        pytest.param(S.ROLLED_BACK, R.CANCELLED, failing.CANCELLED, id="cancelled"),
        pytest.param(S.FAILED, R.REFUSED, failing.REFUSED, id="refused"),
        pytest.param(S.ROLLED_BACK, R.UNAVAILABLE, failing.UNAVAILABLE, id="something was away"),
        pytest.param(S.ROLLED_BACK, R.CONTROLLER_LOST, failing.CONFLICT, id="taken over"),
        pytest.param(S.ROLLBACK_FAILED, R.UNDO_FAILED, failing.BROKEN, id="a person has to help"),
        pytest.param(S.COMPLETED, R.NONE, failing.OK, id="completed"),
        pytest.param(S.ROLLED_BACK, R.BROKEN, failing.UNEXPECTED, id="a bug"),
        pytest.param(S.DEPLOYING, R.NONE, failing.UNEXPECTED, id="not over"),
    ],
)
def test_the_record_says_how_it_ended(status: DeploymentStatus, reason: Reason, code: int) -> None:
    assert code_of(ending(status, reason)) == code


def test_machines_are_told_what_the_record_says_and_not_what_prefect_said() -> None:
    told = document(ending(S.ROLLED_BACK, R.CHECK_FAILED))

    assert told["error"] == {
        "kind": "Broken",
        "family": "failed",
        "message": "api: the check answers failed.",
        "remedy": None,
        "context": {},
        "is_expected": True,
        "exit_code": failing.BROKEN,
    }


def test_an_error_of_our_own_is_told_as_it_is() -> None:
    told = document(ending(S.ROLLED_BACK, R.CHECK_FAILED, CheckFailed("api: bad.", remedy="Mend it.")))

    assert isinstance(told["error"], dict)
    assert (told["error"]["kind"], told["error"]["remedy"]) == ("CheckFailed", "Mend it.")
