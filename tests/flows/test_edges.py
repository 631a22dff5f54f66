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
from tests.flows.edge_kinds import KINDS, LEFT_OUT, Begun, Upgrade
from tests.flows.house import FINAL, House, house_in

pytestmark = pytest.mark.timeout(600)  # with a house to set up, beside the matrix

SOON = {
    "FAIRLEAD_RENEW_SECONDS": "1",
    "FAIRLEAD_LEASE_SECONDS": "3",
    "FAIRLEAD_TAKEOVER_SECONDS": "5",
    "FAIRLEAD_HANDLE_SECONDS": "20",
}
UNFINISHED = {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}
S = DeploymentStatus


@pytest.fixture(
    scope="module",
    params=[pytest.param(kind, id=kind, marks=() if kind == "blue_green" else pytest.mark.faults) for kind in KINDS],
)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def house(kind: str, run_directory: Path) -> Iterator[House]:
    """One for each kind, and one at a time."""
    with house_in(run_directory, **SOON) as house:
        yield house


@pytest.fixture(scope="module")
def occasion(kind: str, house: House) -> Upgrade:
    return KINDS[kind](house)


@pytest.fixture(autouse=True)
def _makes_sense(kind: str, request: pytest.FixtureRequest) -> None:
    reason = LEFT_OUT.get((request.node.originalname, kind))
    if reason is not None:
        pytest.skip(reason)


@contextmanager
def worker_instead_of_runner(house: House, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Prefect's own process worker takes the runs; the warm runner is there again at the end."""
    house.plane.stop_runner()
    try:
        with process_worker(folder, pool="fairlead", settings=house.settings) as worker:
            yield worker
    finally:
        house.plane.up()


def process_of(house: House, run: FlowRun) -> int:
    """The pid of the run's process, on the warm runner or on a worker."""
    claimed = [each.pid for each in house.claims().alive() if each.flow_run_id == run.id]
    found = claimed or [each.pid for each in find_by_environment({"PREFECT__FLOW_RUN_ID": str(run.id)})]
    return found[0] or 0


def all_final(house: House, run: FlowRun) -> bool:
    """Whether the run and every subflow run of it have ended for Prefect."""
    if house.state(run.id) not in FINAL:
        return False
    parents = [str(run.id), *house.parts(run)]
    parts = {"parent_flow_run_id": {"any_": parents}, "state": UNFINISHED}
    return not house.client.request("POST", "/flow_runs/filter", json={"flow_runs": parts}).json()


def check_end(house: House, begun: Begun, status: DeploymentStatus, state: StateType) -> None:
    """(a) the deployment is final and one release serves; (b) Prefect's runs are final."""
    house.until_status(begun.run, status)
    serving = begun.after if status is S.COMPLETED else begun.before
    assert house.page(begun.environment) == serving
    instances = house.records.instances.of_environment(begun.environment)
    revisions = {each.revision for each in instances if each.state is InstanceLife.SERVING}
    assert len(revisions) == (1 if serving else 0)
    wait_until(lambda: all_final(house, begun.run), "its runs are final in Prefect", house.log)
    assert house.state(begun.run.id) is state, house.story(begun.run)


def message_of(house: House, run: UUID) -> str:
    state = house.client.read_flow_run(run).state
    assert state is not None
    return state.message or ""


def timeline(house: House, run: FlowRun) -> list[Any]:
    return list(house.records.events.timeline(deployment=house.deployment(run).id))


def undone(house: House, run: FlowRun) -> Counter[str | None]:
    """How often each step was taken back."""
    return Counter(event.step for event in timeline(house, run) if event.kind is DeploymentEventKind.STEP_UNDONE)


def test_sigterm_to_the_flow_runs_process_brings_the_deployment_back_first(house: House, occasion: Upgrade) -> None:
    begun = occasion.begin()
    os.kill(process_of(house, begun.run), signal.SIGTERM)
    check_end(house, begun, S.ROLLED_BACK, StateType.CRASHED)
    assert "told to stop" in house.deployment(begun.run).message


def test_hooks_that_run_several_times_at_once_take_back_once(house: House, occasion: Upgrade) -> None:
    begun = occasion.begin()
    os.kill(process_of(house, begun.run), signal.SIGKILL)
    with ExitStack() as stack:
        hooks = [stack.enter_context(hook_process(house, begun.run)) for _ in range(3)]
        codes = [hook.wait(60) for hook in hooks]
    check_end(house, begun, S.ROLLED_BACK, StateType.CRASHED)
    assert codes == [0, 0, 0], (house.home / "hook.log").read_text()
    assert set(undone(house, begun.run).values()) == {1}
    told = Counter(event.kind for event in timeline(house, begun.run))
    assert told[DeploymentEventKind.ROLLED_BACK] == 1


def hook_process(house: House, run: FlowRun) -> Any:
    """The flow's hooks in a process of their own, as a worker or the runner runs them."""
    assert run.deployment_id is not None
    entrypoint = house.client.read_deployment(run.deployment_id).entrypoint
    order = f"Order(1, 'crashed', '{run.id}', '{entrypoint}', 'killed')"
    call = f"from flows.runner.execution import run_hooks; from flows.runner.template import Order; run_hooks({order})"
    return started([sys.executable, "-c", call], house.home / "hook.log", settings=house.settings)


def test_a_hook_that_runs_after_the_end_changes_nothing(house: House, occasion: Upgrade) -> None:
    begun = occasion.begin()
    os.kill(process_of(house, begun.run), signal.SIGKILL)
    house.until_status(begun.run, S.ROLLED_BACK)
    before = undone(house, begun.run)
    with hook_process(house, begun.run) as hook:
        assert hook.wait(60) == 0
    check_end(house, begun, S.ROLLED_BACK, StateType.CRASHED)
    assert undone(house, begun.run) == before


def test_a_run_cancelled_in_prefect_ends_cancelled_with_its_phases(house: House, occasion: Upgrade) -> None:
    begun = occasion.begin()
    house.client.set_flow_run_state(begun.run.id, Cancelling())
    check_end(house, begun, S.ROLLED_BACK, StateType.CANCELLED)


def test_a_deployment_cancelled_in_the_store_is_cancelled_in_prefect(house: House, occasion: Upgrade) -> None:
    begun = occasion.begin()
    house.cancel(begun.run, reason="wrong branch")
    check_end(house, begun, S.ROLLED_BACK, StateType.CANCELLED)
    assert "ada asked to cancel" in message_of(house, begun.run.id)


def test_sigterm_to_a_run_that_waits_for_its_environment_ends_it(house: House, occasion: Upgrade) -> None:
    holding = occasion.begin()
    before = house.deployment(holding.run).status
    waiting = occasion.begin_another(holding.environment)
    wait_until(lambda: house.opened(waiting), "the second one waits", house.log)
    os.kill(process_of(house, waiting), signal.SIGTERM)
    wait_until(lambda: all_final(house, waiting), "the second one is over in Prefect", house.log)
    house.until_status(waiting, S.CANCELLED)
    assert house.deployment(holding.run).status is before
    house.cancel(holding.run)
    check_end(house, holding, S.ROLLED_BACK, StateType.CANCELLED)


def test_sigkill_of_the_warm_runner_leaves_the_run_going(house: House, occasion: Upgrade) -> None:
    begun = occasion.begin(completes=True)
    runner = house.host().service_identity("runner")
    assert runner is not None
    runner.kill()
    begun.let_go()
    check_end(house, begun, S.COMPLETED, StateType.COMPLETED)


def test_prefects_server_gone_and_back(house: House, occasion: Upgrade) -> None:
    """One deployment completes while it is away, another one is cancelled and comes back."""
    cancelled = occasion.begin("staging")
    completing = occasion.begin(completes=True)
    house.host().stop_service("prefect")
    try:
        completing.let_go()
        house.cancel(cancelled.run)
        house.until_status(cancelled.run, S.ROLLED_BACK)
        house.until_status(completing.run, S.COMPLETED)
    finally:
        house.plane.ensure_prefect()
    check_end(house, completing, S.COMPLETED, StateType.COMPLETED)
    check_end(house, cancelled, S.ROLLED_BACK, StateType.CANCELLED)


def test_sigterm_of_a_process_worker_is_taken_over_and_corrected_by_the_scheduled_flow(
    house: House, occasion: Upgrade, tmp_path: Path
) -> None:
    with worker_instead_of_runner(house, tmp_path) as worker:
        begun = occasion.begin()
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
        house.until_status(begun.run, S.ROLLED_BACK)
        wait_until(lambda: is_corrected_by_the_flow(house, begun.run), "the scheduled flow has corrected it", house.log)
        check_end(house, begun, S.ROLLED_BACK, StateType.CRASHED)


def is_corrected_by_the_flow(house: House, run: FlowRun) -> bool:
    """One round of it, in a process of its own as a worker would start it."""
    call = "import asyncio; from flows.reconcile import reconcile; asyncio.run(reconcile())"
    environment = {**os.environ, **settings_environment(house.settings), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", call], env=environment, check=True, capture_output=True, cwd=ROOT)
    return all_final(house, run)


def test_sigkill_of_a_process_worker_leaves_an_orphan_that_ends_and_one_that_is_cancelled(
    house: House, occasion: Upgrade, tmp_path: Path
) -> None:
    with worker_instead_of_runner(house, tmp_path) as worker:
        cancelled = occasion.begin("staging")
        completing = occasion.begin(completes=True)
        worker.kill()
        worker.wait()
    completing.let_go()
    house.client.set_flow_run_state(cancelled.run.id, Cancelling())
    check_end(house, completing, S.COMPLETED, StateType.COMPLETED)
    check_end(house, cancelled, S.ROLLED_BACK, StateType.CANCELLED)


def test_sigkill_of_worker_and_run_needs_no_hook(house: House, occasion: Upgrade, tmp_path: Path) -> None:
    with worker_instead_of_runner(house, tmp_path) as worker:
        begun = occasion.begin()
        pid = process_of(house, begun.run)
        worker.kill()
        worker.wait()
        os.kill(pid, signal.SIGKILL)
    check_end(house, begun, S.ROLLED_BACK, StateType.CRASHED)
    assert "Its process" in message_of(house, begun.run.id)
    assert "taken over" in house.deployment(begun.run).message or "took it over" in message_of(house, begun.run.id)
