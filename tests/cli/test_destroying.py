"""What `destroy` waits for, and what it refuses for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from deployments.cli.destroying import hold
from deployments.domain.errors import Conflict
from tests.driver.stage import ENVIRONMENT, Reaper, Stage, specification


@pytest.fixture
def stage(fresh_database_url: str, tmp_path: Path) -> Iterator[Stage]:
    """One environment in which a release serves."""
    found = Stage(fresh_database_url, tmp_path)
    found.deploy(specification())
    yield found
    found.close()


def test_a_repair_that_holds_the_environment_for_a_moment_is_waited_for(stage: Stage) -> None:
    repair = stage.records.leases.acquire(ENVIRONMENT, "reconciler", timedelta(milliseconds=300))

    lease = hold(stage.world(), ENVIRONMENT, force=False)

    assert lease is not None
    assert lease.fence > repair.fence
    assert stage.records.leases.holder(ENVIRONMENT) == lease


def test_a_deployment_that_nobody_drives_is_not_destroyed_in_between(stage: Stage) -> None:
    stage.deploy(specification(), Reaper(kill_at=6))

    with pytest.raises(Conflict, match="driven by nobody"):
        hold(stage.world(), ENVIRONMENT, force=False)

    assert stage.records.leases.holder(ENVIRONMENT) is None
    assert hold(stage.world(), ENVIRONMENT, force=True) is not None
