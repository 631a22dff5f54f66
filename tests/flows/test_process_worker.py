"""The same Prefect deployments on an ordinary process worker, deployed by Prefect's own command from a prefect.yaml."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType

from flows.registering import PREFECT_YAML, declarations
from tests.fakes.runner_process import ROOT, process_worker, wait_until


@pytest.fixture(scope="module")
def pool() -> str:
    return f"pool-{uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def client(prefect_api: str) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("worker")


@pytest.fixture(scope="module")
def worker(client: SyncPrefectClient, folder: Path, pool: str) -> Iterator[None]:
    """A process worker, with the deployment `greet/<pool>` made by `prefect deploy --all` for it."""
    prefect("work-pool", "create", pool, "--type", "process")
    entry = {"name": pool, "entrypoint": "tests.flows.stand_in.greet"}
    deploy_all(folder, pool, [entry, {**entry, "entrypoint": "tests.flows.stand_in.fail_once"}])
    with process_worker(folder, pool=pool):
        yield


def deploy_all(folder: Path, pool: str, entries: list[dict[str, Any]]) -> None:
    """`prefect deploy --all` with a file like ours, for another pool."""
    declared = yaml.safe_load(PREFECT_YAML.read_text())
    declared["deployments"] = [{"work_pool": {"name": pool}, **entry} for entry in entries]
    file = folder / "prefect.yaml"
    file.write_text(yaml.safe_dump(declared))
    prefect("--no-prompt", "deploy", "--all", "--prefect-file", str(file))


def prefect(*words: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "prefect", *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_run_triggered_by_api_runs_on_a_process_worker(
    client: SyncPrefectClient, folder: Path, pool: str, worker: None
) -> None:
    deployment = client.read_deployment_by_name(f"greet/{pool}")
    parameters = {"folder": str(folder), "greeting": {"words": "hello"}}
    run = client.create_flow_run_from_deployment(deployment.id, parameters=parameters)
    wait_until((folder / f"greeted-{run.id}").exists, "the flow ran", folder / "worker.log")
    wait_until(
        lambda: client.read_flow_run(run.id).state_type is StateType.COMPLETED, "it is Completed", folder / "worker.log"
    )


def test_our_file_is_deployed_by_prefects_own_command(client: SyncPrefectClient) -> None:
    prefect("work-pool", "create", "fairlead", "--type", "process", "--overwrite")
    prefect("--no-prompt", "deploy", "--all", "--prefect-file", str(PREFECT_YAML))
    for declared in declarations():
        deployment = client.read_deployment_by_name(f"{declared.entrypoint.rpartition('.')[2]}/{declared.name}")
        assert (deployment.entrypoint, deployment.work_pool_name) == (declared.entrypoint, "fairlead")
        assert not deployment.pull_steps
    production = client.read_deployment_by_name("deploy/production")
    assert "DeploymentSpecification" in (production.parameter_openapi_schema or {})["definitions"]
