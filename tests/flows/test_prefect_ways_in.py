"""Deployments triggered through a running Prefect: by API, schedule and retry; on the warm runner and on a worker."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.states import Cancelling, Scheduled

from deployments.domain.status import DeploymentStatus
from tests.fakes.runner_process import process_worker, wait_until
from tests.flows.house import House, house_in


@pytest.fixture(scope="module")
def house(run_directory: Path) -> Iterator[House]:
    with house_in(run_directory) as house:
        yield house


def test_a_deployment_triggered_by_api_completes_on_the_warm_runner(house: House) -> None:
    run = house.trigger(house.specification("1.0.0"))
    house.until(run, StateType.COMPLETED)
    assert house.deployment(run).status is DeploymentStatus.COMPLETED
    assert house.page() == "version 1.0.0"


def test_a_deployment_triggered_by_api_completes_on_a_process_worker(house: House, tmp_path: Path) -> None:
    house.plane.stop_runner()
    try:
        with process_worker(tmp_path, pool="fairlead", settings=house.settings):
            run = house.trigger(house.specification("1.1.0"))
            house.until(run, StateType.COMPLETED)
    finally:
        house.plane.up()
    assert house.deployment(run).status is DeploymentStatus.COMPLETED
    assert house.page() == "version 1.1.0"


def test_a_deployment_is_triggered_by_schedule(house: House) -> None:
    deployment = house.client.read_deployment_by_name("deploy/production")
    often = IntervalSchedule(interval=timedelta(seconds=20), anchor_date=datetime.now(UTC))
    schedule = {
        "schedule": often.model_dump(mode="json"),
        "active": True,
        "parameters": {"specification": house.specification("1.2.0")},
    }
    created = house.client.request("POST", f"/deployments/{deployment.id}/schedules", json=[schedule]).json()
    try:
        wait_until(lambda: completed_by_schedule(house), "a scheduled run completed", house.log)
    finally:
        house.client.request("DELETE", f"/deployments/{deployment.id}/schedules/{created[0]['id']}")
    assert house.page() == "version 1.2.0"


def completed_by_schedule(house: House) -> bool:
    wanted = {"tags": {"all_": ["auto-scheduled"]}, "state": {"type": {"any_": ["COMPLETED"]}}}
    return bool(house.client.request("POST", "/flow_runs/filter", json={"flow_runs": wanted}).json())


def test_prefects_own_retry_of_a_failed_run_deploys_in_the_same_flow_run(house: House) -> None:
    specification = house.specification("1.3.0")
    page = house.home / "sites" / "1.3.0"
    page.rename(page.with_name("away"))
    run = house.trigger(specification)
    house.until(run, StateType.FAILED)
    page.with_name("away").rename(page)
    retry(house, run)
    house.until(run, StateType.COMPLETED)
    assert house.client.read_flow_run(run.id).run_count == 2
    assert house.page() == "version 1.3.0"


def retry(house: House, run: FlowRun) -> None:
    """What the button in Prefect's UI does."""
    state = Scheduled(message="Retry from the UI")
    state.name = "AwaitingRetry"
    house.client.set_flow_run_state(run.id, state)
    wait_until(lambda: house.client.read_flow_run(run.id).run_count == 2, "the retry has begun", house.log)


def test_a_deployment_that_is_cancelled_in_prefect_comes_back(house: House) -> None:
    house.until(house.trigger(house.specification("1.4.0")), StateType.COMPLETED)
    run = house.trigger(house.specification("1.5.0", success_criteria={"bake": "1h"}))
    house.until_status(run, DeploymentStatus.MONITORING)
    assert house.page() == "version 1.5.0"
    house.client.set_flow_run_state(run.id, Cancelling())
    house.until(run, StateType.CANCELLED)
    assert house.deployment(run).status is DeploymentStatus.ROLLED_BACK
    assert house.page() == "version 1.4.0"


def test_a_deployment_whose_process_is_killed_comes_back_and_its_run_says_crashed(house: House) -> None:
    house.until(house.trigger(house.specification("1.8.0")), StateType.COMPLETED)
    run = house.trigger(house.specification("1.9.0", success_criteria={"bake": "1h"}))
    house.until_status(run, DeploymentStatus.MONITORING)
    [claimed] = [each for each in house.claims().alive() if each.flow_run_id == run.id]
    os.kill(claimed.pid or 0, signal.SIGKILL)
    house.until(run, StateType.CRASHED)
    house.until_status(run, DeploymentStatus.ROLLED_BACK)
    assert house.page() == "version 1.8.0"


def test_a_deployment_that_goes_on_after_its_process_was_killed_is_completed_in_prefect(house: House) -> None:
    resumes = {"on_controller_lost": "resume"}
    run = house.trigger(house.specification("1.9.5", success_criteria={"bake": "3s"}, emergency_procedures=resumes))
    house.until_status(run, DeploymentStatus.MONITORING)
    [claimed] = [each for each in house.claims().alive() if each.flow_run_id == run.id]
    os.kill(claimed.pid or 0, signal.SIGKILL)
    house.until(run, StateType.COMPLETED)
    house.until_status(run, DeploymentStatus.COMPLETED)
    assert house.page() == "version 1.9.5"
    state = house.client.read_flow_run(run.id).state
    assert state is not None
    assert "taken over" in (state.message or "") or "took it over" in (state.message or "")


def test_going_up_after_an_upgrade_replaces_the_runner(house: House) -> None:
    before = (house.home / "control" / "runner.ready").read_text()
    (house.home / "control" / "vintage").write_text("of the code before")
    house.plane.up()
    assert (house.home / "control" / "runner.ready").read_text() != before
    house.until(house.trigger(house.specification("1.8.5")), StateType.COMPLETED)


def test_going_down_brings_a_deployment_in_progress_back_first(house: House) -> None:
    house.until(house.trigger(house.specification("1.6.0")), StateType.COMPLETED)
    run = house.trigger(house.specification("1.7.0", success_criteria={"bake": "1h"}))
    house.until_status(run, DeploymentStatus.MONITORING)
    try:
        assert f"run {run.id}" in house.plane.down()
        assert not house.plane.status().is_up
        assert house.page() == "version 1.6.0"
    finally:
        house.plane.up()
    assert house.deployment(run).status is DeploymentStatus.ROLLED_BACK
    assert house.state(run.id) is StateType.CRASHED
