"""The Prefect deployments of prefect.yaml, registered with a real server."""

from __future__ import annotations

import asyncio
import shlex
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import PrefectHTTPStatusError

from deployments.domain.errors import Broken
from flows.registering import PREFECT_YAML, declarations, register

SERVICE = {"name": "web", "version": "1.0.0", "source": {"kind": "pypi", "requirement": "datasette==0.65.1"}}
PROPOSE = "tests.flows.stand_in.propose"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A prefect.yaml with one deployment for production, of a flow that takes a specification."""
    return written(
        tmp_path,
        {
            "name": "production",
            "entrypoint": PROPOSE,
            "description": "For `production`.",
            "parameters": {"specification": {"target_environment": "production"}},
        },
    )


def written(folder: Path, *entries: dict[str, Any]) -> Path:
    path = folder / "prefect.yaml"
    path.write_text(yaml.safe_dump({"deployments": list(entries)}))
    return path


@pytest.fixture
def client(prefect_api: str) -> Any:
    with get_client(sync_client=True) as client:
        yield client


def registered(file: Path, environments: tuple[str, ...] = ()) -> list[str]:
    """Register in a pool of the test's own."""

    async def act() -> list[str]:
        async with get_client() as client:
            return await register(client, pool=f"pool-{uuid4().hex[:8]}", file=file, environments=environments)

    return asyncio.run(act())


def test_every_environment_gets_a_deployment_of_the_deploy_flow(client: SyncPrefectClient, file: Path) -> None:
    assert registered(file, environments=("production", "edge")) == ["propose/production", "propose/edge"]
    edge = client.read_deployment_by_name("propose/edge")
    assert edge.description == "For `edge`."
    assert edge.parameters == {"specification": {"target_environment": "edge"}}


def test_nothing_is_pulled_and_the_entrypoint_is_a_module(client: SyncPrefectClient, file: Path) -> None:
    registered(file)
    deployment = client.read_deployment_by_name("propose/production")
    assert deployment.entrypoint == PROPOSE
    assert not deployment.pull_steps
    assert deployment.enforce_parameter_schema


def test_the_form_has_the_fields_of_the_models(client: SyncPrefectClient, file: Path) -> None:
    registered(file)
    schema = client.read_deployment_by_name("propose/production").parameter_openapi_schema or {}
    definitions = schema["definitions"]
    assert {"project", "services", "success_criteria"} <= set(definitions["DeploymentSpecification"]["properties"])
    assert definitions["ServiceSpecification"]["properties"]["run_command"]["description"]
    assert definitions["DeploymentSpecification"]["properties"]["target_environment"]["enum"] == ["production"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"target_environment": "staging"}, "staging"),
        ({"services": []}, "services"),
        ({"sevices": []}, "sevices"),
        ({"services": [{**SERVICE, "scaling": {"replicas": "many"}}]}, "many"),
    ],
    ids=["another environment", "no service", "unknown field", "wrong type"],
)
def test_a_run_with_bad_parameters_is_refused_by_name(
    client: SyncPrefectClient, file: Path, change: dict[str, Any], named: str
) -> None:
    registered(file)
    with pytest.raises(PrefectHTTPStatusError) as refused:
        trigger(client, change)
    assert refused.value.response.status_code == 409
    assert named in refused.value.response.text


def trigger(client: SyncPrefectClient, change: dict[str, Any]) -> None:
    specification = {"project": "shop", "target_environment": "production", "services": [SERVICE], **change}
    deployment = client.read_deployment_by_name("propose/production")
    client.create_flow_run_from_deployment(deployment.id, parameters={"specification": specification})


def test_a_process_worker_runs_the_engine_with_this_python(client: SyncPrefectClient, tmp_path: Path) -> None:
    pool = {"name": "any", "job_variables": {"command": "python -m prefect.engine"}}
    registered(written(tmp_path, {"name": "quick", "entrypoint": "tests.flows.stand_in.answer", "work_pool": pool}))
    deployment = client.read_deployment_by_name("answer/quick")
    assert shlex.split(deployment.job_variables["command"]) == [sys.executable, "-m", "prefect.engine"]


def test_registering_again_leaves_what_people_changed(client: SyncPrefectClient, tmp_path: Path) -> None:
    file = written(
        tmp_path,
        {"name": "hourly", "entrypoint": "tests.flows.stand_in.answer", "schedules": [{"cron": "0 * * * *"}]},
    )
    pool = f"pool-{uuid4().hex[:8]}"

    async def act() -> None:
        async with get_client() as asynchronous:
            await register(asynchronous, pool=pool, file=file)

    asyncio.run(act())
    deployment = client.read_deployment_by_name("answer/hourly")
    assert [schedule.schedule.cron for schedule in deployment.schedules] == ["0 * * * *"]  # type: ignore[union-attr]
    pause_schedules(client, deployment)
    asyncio.run(act())
    assert not client.read_deployment_by_name("answer/hourly").schedules[0].active
    client.request("DELETE", f"/deployments/{deployment.id}")


def pause_schedules(client: SyncPrefectClient, deployment: DeploymentResponse) -> None:
    for schedule in deployment.schedules:
        client.request("PATCH", f"/deployments/{deployment.id}/schedules/{schedule.id}", json={"active": False})


def test_an_entry_without_entrypoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(Broken, match="no 'entrypoint'"):
        declarations(written(tmp_path, {"name": "production"}))


def test_prefect_yaml_declares_a_deployment_for_each_kind_of_environment() -> None:
    declared = {each.environment for each in declarations(PREFECT_YAML) if each.environment}
    assert declared == {"development", "staging", "preview", "production"}
