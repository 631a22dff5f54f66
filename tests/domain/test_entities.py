"""Status, progress and affected components are asked of the aggregates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deployments.domain.entities import (
    Component,
    ComponentKind,
    Deployment,
    Environment,
    EnvironmentStatus,
    Instance,
    InstanceLife,
    Service,
)
from deployments.domain.status import DeploymentStatus
from tests.domain.specifications import NOW, environment, service, specification

S = DeploymentStatus


def deployment(status: DeploymentStatus = S.DEPLOYING, **fields: Any) -> Deployment:
    asked = specification(
        service("api"), service("jobs", type="worker"), resource_requirements=[{"name": "data", "kind": "directory"}]
    )
    given: dict[str, Any] = {
        "id": "d1",
        "project": "shop",
        "environment": "production",
        "name": "first",
        "status": status,
        "created_by": "ann",
        "correlation_id": "c1",
        "created_at": NOW,
        "updated_at": NOW,
        "specification": asked.model_dump(mode="json"),
        "services": (("api", "1.0"), ("jobs", "1.0")),
        "steps_done": 3,
        "steps_total": 12,
    }
    return Deployment(**{**given, **fields})


STABLE = Service("production", "api", "1.0", "r", "v", "d0", NOW)


def test_progress_is_the_share_of_steps_done() -> None:
    assert deployment().progress.share == pytest.approx(0.25)


def test_a_completed_deployment_is_done() -> None:
    assert deployment(S.COMPLETED).progress.share == 1.0
    assert deployment(S.COMPLETED).was_successful


def test_an_empty_plan_is_done() -> None:
    assert deployment(steps_done=0, steps_total=0).progress.share == 1.0


def test_affected_components_are_services_routes_of_web_services_and_resources() -> None:
    assert deployment().affected_components() == (
        Component(ComponentKind.SERVICE, "api"),
        Component(ComponentKind.SERVICE, "jobs"),
        Component(ComponentKind.ROUTE, "api"),
        Component(ComponentKind.RESOURCE, "data"),
    )


STATUSES = {
    "nothing yet": (Environment(environment()), EnvironmentStatus.EMPTY),
    "serving": (Environment(environment(), services=(STABLE,)), EnvironmentStatus.STABLE),
    "deploying": (Environment(environment(), services=(STABLE,), current=deployment()), EnvironmentStatus.CHANGING),
    "coming back": (Environment(environment(), current=deployment(S.ROLLING_BACK)), EnvironmentStatus.RETURNING),
    "rolling back on request": (
        Environment(environment(), current=deployment(is_rollback=True)),
        EnvironmentStatus.RETURNING,
    ),
    "stuck": (Environment(environment(), latest=deployment(S.ROLLBACK_FAILED)), EnvironmentStatus.NEEDS_A_PERSON),
}


@pytest.mark.parametrize(("target", "status"), STATUSES.values(), ids=STATUSES)
def test_an_environment_says_how_it_is(target: Environment, status: EnvironmentStatus) -> None:
    assert target.status is status


def test_an_environment_asks_its_current_deployment() -> None:
    busy = Environment(environment(), current=deployment())
    assert busy.progress == deployment().progress
    assert busy.affected_components() == deployment().affected_components()
    assert Environment(environment()).progress.share == 1.0
    assert Environment(environment()).affected_components() == ()


def test_serving_instances_are_those_with_traffic() -> None:
    serving = Instance("api-1", "production", "api", "v", "r", "d0", 9001, InstanceLife.SERVING, NOW)
    warm = replace(serving, id="api-0", state=InstanceLife.WARM)
    assert Environment(environment(), instances=(serving, warm)).serving("api") == (serving,)
