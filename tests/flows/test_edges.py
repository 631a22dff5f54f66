"""Prefect's edges, against real processes: whatever is stopped, killed or away, the deployment ends complete or back,
one release serves, and neither the flow run nor a subflow run of it is left unfinished in Prefect."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Cancelling

from deployments.adapters.control_plane.environment import settings_environment
from deployments.adapters.supervisor.identity import find_by_environment
from deployments.domain.entities import InstanceLife
from deployments.domain.events import DeploymentEventKind
from deployments.domain.status import DeploymentStatus
from tests.fakes.runner_process import ROOT, process_worker, started, wait_until
from tests.flows.house import FINAL, House, house_in

SOON = {
    "FAIRLEAD_RENEW_SECONDS": "1",
    "FAIRLEAD_LEASE_SECONDS": "3",
    "FAIRLEAD_TAKEOVER_SECONDS": "5",
    "FAIRLEAD_HANDLE_SECONDS": "20",
}
HOUR = {"success_criteria": {"bake": "1h"}}
UNFINISHED = {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}
S = DeploymentStatus


@pytest.fixture(scope="module")
def house(run_directory: Path) -> Iterator[House]:
    with house_in(run_directory, **SOON) as house:
        for environment in ("production", "staging"):
            house.until(house.trigger(house.specification("1.0.0", environment)), StateType.COMPLETED)
        yield house


@contextmanager
def worker_instead_of_runner(house: House, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Prefect's own process worker takes the runs; the warm runner is there again at the end."""
    house.plane.stop_runner()
    try:
        with process_worker(folder, pool="fairlead", settings=house.settings) as worker:
            yield worker
    finally:
        house.plane.up()


def begin(house: House, version: str, environment: str = "production", **changes: Any) -> FlowRun:
    """A deployment whose new release serves, and is being watched: a step in flight, on the way to its end."""
    run = house.trigger(house.specification(version, environment, **(changes or HOUR)))
    house.until_status(run, S.MONITORING)
    wait_until(lambda: house.page(environment) == f"version {version}", "the new release serves", house.log)
    return run


def process_of(house: House, run: FlowRun) -> int:
    """The pid of the run's process, on the warm runner or on a worker."""
    claimed = [each.pid for each in house.claims().alive() if each.flow_run_id == run.id]
    found = claimed or [each.pid for each in find_by_environment({"PREFECT__FLOW_RUN_ID": str(run.id)})]
    return found[0] or 0


def all_final(house: House, run: FlowRun) -> bool:
    """Whether the run and every subflow run of it have ended for Prefect."""
    if house.state(run.id) not in FINAL:
        return False
    parts = {"parent_flow_run_id": {"any_": [str(run.id)]}, "state": UNFINISHED}
    return not house.client.request("POST", "/flow_runs/filter", json={"flow_runs": parts}).json()


def check_end(
    house: House,
    run: FlowRun,
    status: DeploymentStatus,
    state: StateType,
    serving: str,
    environment: str = "production",
) -> None:
    """(a) the deployment is final and one release serves; (b) Prefect's runs are final."""
    house.until_status(run, status)
    assert house.page(environment) == f"version {serving}"
    instances = house.records.instances.of_environment(environment)
    assert len({each.revision for each in instances if each.state is InstanceLife.SERVING}) == 1
    wait_until(lambda: all_final(house, run), "its runs are final in Prefect", house.log)
    assert house.state(run.id) is state, house.story(run)


def message_of(house: House, run: UUID) -> str:
    state = house.client.read_flow_run(run).state
    assert state is not None
    return state.message or ""


def undone(house: House, run: FlowRun) -> Counter[str | None]:
    """How often each step was taken back."""
    told = house.records.events.timeline(deployment=house.deployment(run).id)
    return Counter(event.step for event in told if event.kind is DeploymentEventKind.STEP_UNDONE)


def test_sigterm_to_the_flow_runs_process_brings_the_deployment_back_first(house: House) -> None:
    run = begin(house, "2.0.0")
    os.kill(process_of(house, run), signal.SIGTERM)
    check_end(house, run, S.ROLLED_BACK, StateType.CRASHED, "1.0.0")
    assert "told to stop" in house.deployment(run).message


def test_hooks_that_run_several_times_at_once_take_back_once(house: House) -> None:
    run = begin(house, "2.1.0")
    os.kill(process_of(house, run), signal.SIGKILL)
    with ExitStack() as stack:
        hooks = [stack.enter_context(hook_process(house, run)) for _ in range(3)]
        codes = [hook.wait(60) for hook in hooks]
    check_end(house, run, S.ROLLED_BACK, StateType.CRASHED, "1.0.0")
    assert codes == [0, 0, 0], (house.home / "hook.log").read_text()
    assert set(undone(house, run).values()) == {1}
    told = Counter(event.kind for event in house.records.events.timeline(deployment=house.deployment(run).id))
    assert told[DeploymentEventKind.ROLLED_BACK] == 1


def hook_process(house: House, run: FlowRun) -> Any:
    """The flow's hooks in a process of their own, as a worker or the runner runs them."""
    order = f"Order(1, 'crashed', '{run.id}', 'flows.deploy.deploy', 'killed')"
    call = f"from flows.runner.execution import run_hooks; from flows.runner.template import Order; run_hooks({order})"
    return started([sys.executable, "-c", call], house.home / "hook.log", settings=house.settings)


def test_a_hook_that_runs_after_the_end_changes_nothing(house: House) -> None:
    run = begin(house, "2.2.0")
    os.kill(process_of(house, run), signal.SIGKILL)
    house.until_status(run, S.ROLLED_BACK)
    before = undone(house, run)
    with hook_process(house, run) as hook:
        assert hook.wait(60) == 0
    check_end(house, run, S.ROLLED_BACK, StateType.CRASHED, "1.0.0")
    assert undone(house, run) == before


def test_a_run_cancelled_in_prefect_ends_cancelled_with_its_phases(house: House) -> None:
    run = begin(house, "2.3.0")
    house.client.set_flow_run_state(run.id, Cancelling())
    check_end(house, run, S.ROLLED_BACK, StateType.CANCELLED, "1.0.0")


def test_a_deployment_cancelled_in_the_store_is_cancelled_in_prefect(house: House) -> None:
    run = begin(house, "2.4.0")
    house.records.commands.request(house.deployment(run).id, "cancel", by="ada", reason="wrong branch")
    check_end(house, run, S.ROLLED_BACK, StateType.CANCELLED, "1.0.0")
    assert "ada asked to cancel" in message_of(house, run.id)


def test_sigterm_to_a_run_that_waits_for_its_environment_ends_it(house: House) -> None:
    holding = begin(house, "2.5.0")
    waiting = house.trigger(house.specification("2.6.0"))
    wait_until(lambda: house.records.deployments.by_flow_run(str(waiting.id)), "the second one waits", house.log)
    os.kill(process_of(house, waiting), signal.SIGTERM)
    wait_until(lambda: all_final(house, waiting), "the second one is over in Prefect", house.log)
    house.until_status(waiting, S.CANCELLED)
    assert house.deployment(holding).status is S.MONITORING
    house.records.commands.request(house.deployment(holding).id, "cancel", by="ada")
    check_end(house, holding, S.ROLLED_BACK, StateType.CANCELLED, "1.0.0")


def test_sigkill_of_the_warm_runner_leaves_the_run_going(house: House) -> None:
    run = begin(house, "3.0.0", success_criteria={"bake": "2s"})
    runner = house.host().service_identity("runner")
    assert runner is not None
    runner.kill()
    check_end(house, run, S.COMPLETED, StateType.COMPLETED, "3.0.0")


def test_prefects_server_gone_and_back(house: House) -> None:
    """One deployment completes while it is away, another one is cancelled and comes back."""
    completing = begin(house, "4.0.0", success_criteria={"bake": "2s"})
    cancelled = begin(house, "4.1.0", "staging")
    house.host().stop_service("prefect")
    try:
        house.records.commands.request(house.deployment(cancelled).id, "cancel", by="ada")
        house.until_status(cancelled, S.ROLLED_BACK)
        house.until_status(completing, S.COMPLETED)
    finally:
        house.plane.ensure_prefect()
    check_end(house, completing, S.COMPLETED, StateType.COMPLETED, "4.0.0")
    check_end(house, cancelled, S.ROLLED_BACK, StateType.CANCELLED, "1.0.0", "staging")


def test_sigterm_of_a_process_worker_is_taken_over_and_corrected_by_the_scheduled_flow(
    house: House, tmp_path: Path
) -> None:
    serving = house.page().removeprefix("version ")
    with worker_instead_of_runner(house, tmp_path) as worker:
        run = begin(house, "5.0.0")
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
        house.until_status(run, S.ROLLED_BACK)
        wait_until(lambda: is_corrected_by_the_flow(house, run), "the scheduled flow has corrected it", house.log)
        check_end(house, run, S.ROLLED_BACK, StateType.CRASHED, serving)


def is_corrected_by_the_flow(house: House, run: FlowRun) -> bool:
    """One round of it, in a process of its own as a worker would start it."""
    call = "import asyncio; from flows.reconcile import reconcile; asyncio.run(reconcile())"
    environment = {**os.environ, **settings_environment(house.settings), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", call], env=environment, check=True, capture_output=True, cwd=ROOT)
    return all_final(house, run)


def test_sigkill_of_a_process_worker_leaves_an_orphan_that_ends_and_one_that_is_cancelled(
    house: House, tmp_path: Path
) -> None:
    with worker_instead_of_runner(house, tmp_path) as worker:
        completing = begin(house, "6.0.0", success_criteria={"bake": "3s"})
        cancelled = begin(house, "6.1.0", "staging")
        worker.kill()
        worker.wait()
    house.client.set_flow_run_state(cancelled.id, Cancelling())
    check_end(house, completing, S.COMPLETED, StateType.COMPLETED, "6.0.0")
    check_end(house, cancelled, S.ROLLED_BACK, StateType.CANCELLED, "1.0.0", "staging")


def test_sigkill_of_worker_and_run_needs_no_hook(house: House, tmp_path: Path) -> None:
    serving = house.page().removeprefix("version ")
    with worker_instead_of_runner(house, tmp_path) as worker:
        run = begin(house, "7.0.0")
        pid = process_of(house, run)
        worker.kill()
        worker.wait()
        os.kill(pid, signal.SIGKILL)
    check_end(house, run, S.ROLLED_BACK, StateType.CRASHED, serving)
    assert "Its process" in message_of(house, run.id)
    assert "taken over" in house.deployment(run).message or "took it over" in message_of(house, run.id)
