"""Records in a database of the test module's own, and a held environment of the test's own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from deployments.domain.entities import Deployment
from deployments.domain.status import DeploymentStatus
from deployments.store.records import Records
from deployments.store.transactions import Lease

LONG = timedelta(minutes=10)
"""A lease that no slow machine outlasts."""
NUMBERS = itertools.count(1)
FORWARD = (
    DeploymentStatus.QUEUED,
    DeploymentStatus.VALIDATING,
    DeploymentStatus.PREPARING,
    DeploymentStatus.PROVISIONING,
    DeploymentStatus.DEPLOYING,
    DeploymentStatus.TESTING,
    DeploymentStatus.MONITORING,
    DeploymentStatus.COMPLETED,
)


@dataclass(frozen=True)
class Held:
    """An environment, its lease, and a pending deployment in it."""

    records: Records
    environment: str
    lease: Lease
    deployment: str

    def present(self) -> Deployment:
        """The deployment as it is recorded."""
        return self.records.deployments.get(self.deployment)

    def bring_to(self, status: DeploymentStatus) -> Deployment:
        """Move the deployment forward to a state."""
        for step in FORWARD[: FORWARD.index(status) + 1]:
            self.records.deployments.advance(self.lease, self.deployment, step)
        return self.present()

    def open(self, **given: object) -> Deployment:
        """Open another deployment in the environment."""
        return open_deployment(self.records, self.environment, **given)


def open_deployment(records: Records, environment: str, **given: object) -> Deployment:
    """Open a deployment, valid unless told otherwise."""
    number = next(NUMBERS)
    asked: dict[str, object] = {
        "id": f"d-{number}",
        "project": "shop",
        "environment": environment,
        "name": f"deployment-{number}",
        "created_by": "ada",
        "specification": {"services": [{"name": "web", "type": "web"}]},
        "services": [("web", "1.0")],
        **given,
    }
    return records.deployments.open(**asked)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def records(database_url: str) -> Iterator[Records]:
    """The store, of this module's own."""
    with Records(database_url, lease=LONG) as store:
        yield store


@pytest.fixture
def environment(records: Records) -> str:
    """An environment that nobody else writes."""
    name = f"stage-{next(NUMBERS)}"
    records.environments.ensure_default(name, project="shop", principal="ada")
    return name


@pytest.fixture
def held(records: Records, environment: str) -> Held:
    """A held environment with a pending deployment."""
    lease = records.leases.acquire(environment, "writer", LONG)
    return Held(records, environment, lease, open_deployment(records, environment).id)
