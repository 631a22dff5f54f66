"""The warm runner against a real Prefect server: what it starts, what it concludes, and what survives it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import PrefectHTTPStatusError
from prefect.states import Cancelling, Scheduled

from flows.registering import register
from tests.fakes.runner_process import end, wait_until, warm_runner

FLOWS = ("greet", "fail_once", "wait", "look_around")


class Desk:
    """Triggers runs of the stand-in flows in a pool of the test module's own, and looks at what became of them."""

    def __init__(self, client: SyncPrefectClient, folder: Path, pool: str) -> None:
        self.client, self.folder, self.pool = client, folder, pool
        self.log = folder / "runner.log"

    def trigger(self, name: str, **parameters: Any) -> FlowRun:
        deployment = self.client.read_deployment_by_name(f"{name.replace('_', '-')}/{self.pool}")
        parameters = {"folder": str(self.folder), **parameters}
        return self.client.create_flow_run_from_deployment(deployment.id, parameters=parameters)

    def state(self, run: FlowRun | UUID) -> StateType | None:
        return self.read(run).state_type

    def read(self, run: FlowRun | UUID) -> FlowRun:
        return self.client.read_flow_run(run if isinstance(run, UUID) else run.id)

    def until_marked(self, name: str) -> str:
        wait_until((self.folder / name).exists, f"the mark {name}", self.log)
        return (self.folder / name).read_text()

    def until_state(self, run: FlowRun, *states: StateType) -> None:
        wait_until(lambda: self.state(run) in states, f"{run.name} is {states}", self.log)

    def until_forgotten(self, run: FlowRun) -> None:
        wait_until(lambda: not (self.folder / "claims" / str(run.id)).exists(), "the claim is gone", self.log)


async def register_stand_ins(folder: Path, pool: str) -> None:
    """One Prefect deployment for each stand-in flow, named like the pool."""
    entries = [{"name": pool, "entrypoint": f"tests.flows.stand_in.{name}"} for name in FLOWS]
    file = folder / "prefect.yaml"
    file.write_text(yaml.safe_dump({"deployments": entries}))
    async with get_client() as client:
        await register(client, pool=pool, file=file)


@contextmanager
def desk_at(folder: Path) -> Iterator[Desk]:
    import asyncio

    pool = f"pool-{uuid4().hex[:8]}"
    asyncio.run(register_stand_ins(folder, pool))
    with get_client(sync_client=True) as client:
        yield Desk(client, folder, pool)


@pytest.fixture(scope="module")
def shared(prefect_api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk with a runner that all tests of this file may use."""
    with desk_at(tmp_path_factory.mktemp("runner")) as desk, warm_runner(desk.folder, pool=desk.pool):
        yield desk


@pytest.fixture
def own(prefect_api: str, tmp_path: Path) -> Iterator[Desk]:
    """A desk without a runner, for tests that stop and start one."""
    with desk_at(tmp_path) as desk:
        yield desk
        for run in (desk.folder / "claims").glob("*-*"):
            kill_run_of(run)


def kill_run_of(claim: Path) -> None:
    import json

    pid = json.loads(claim.read_text())["pid"]
    if pid:
        kill(pid)


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def test_a_run_triggered_by_api_gets_its_parameters(shared: Desk) -> None:
    run = shared.trigger("greet", greeting={"words": "hello", "times": 2}, environment="production")
    _, said, environment, _, flow_run_id, _ = shared.until_marked(f"greeted-{run.id}").splitlines()
    assert (said, environment, flow_run_id) == ("hellohello", "production", str(run.id))
    shared.until_state(run, StateType.COMPLETED)
    shared.until_forgotten(run)


def test_a_run_has_a_process_and_a_session_of_its_own(shared: Desk) -> None:
    run = shared.trigger("greet", greeting={"words": "hello"})
    *_, pid, _, session = shared.until_marked(f"greeted-{run.id}").splitlines()
    assert pid == session
    shared.until_forgotten(run)
    assert (shared.read(run).infrastructure_pid or "").endswith(f":{pid}")


def test_a_run_inherits_neither_sockets_nor_signal_handlers(shared: Desk) -> None:
    run = shared.trigger("look_around")
    saw = shared.until_marked(f"saw-{run.id}").splitlines()
    assert "SIGCHLD <Handlers.SIG_DFL: 0>" in saw
    assert "SIGHUP <Handlers.SIG_DFL: 0>" in saw
    targets = {line.partition(" ")[2] for line in saw}
    assert not [target for target in targets if target.endswith(".lock")]
    shared.until_state(run, StateType.COMPLETED)


def test_logs_of_a_run_reach_the_api(shared: Desk) -> None:
    run = shared.trigger("greet", greeting={"words": "a word to be found"})

    def has_arrived() -> bool:
        answer = shared.client.request("POST", "/logs/filter", json={"logs": {"flow_run_id": {"any_": [str(run.id)]}}})
        return any("a word to be found" in entry["message"] for entry in answer.json())

    wait_until(has_arrived, "the log line is in the API", shared.log)


def test_several_runs_go_at_the_same_time(shared: Desk) -> None:
    runs = [shared.trigger("greet", greeting={"words": f"number {number}"}) for number in range(5)]
    for number, run in enumerate(runs):
        assert f"number {number}" in shared.until_marked(f"greeted-{run.id}")
        shared.until_state(run, StateType.COMPLETED)


def test_a_retry_runs_the_same_flow_run_again(shared: Desk) -> None:
    run = shared.trigger("fail_once")
    shared.until_state(run, StateType.FAILED)
    shared.until_forgotten(run)
    retry(shared, run)
    shared.until_state(run, StateType.COMPLETED)
    assert (shared.folder / f"attempts-{run.id}").read_text() == "xx"
    assert shared.read(run).run_count == 2


def retry(desk: Desk, run: FlowRun) -> None:
    """What the button in Prefect's UI does."""
    state = Scheduled(message="Retry from the UI")
    state.name = "AwaitingRetry"
    desk.client.set_flow_run_state(run.id, state)


def test_parameters_that_break_the_schema_are_refused_before_a_run_exists(shared: Desk) -> None:
    with pytest.raises(PrefectHTTPStatusError, match="409") as refused:
        shared.trigger("greet", greeting={"words": "hello", "colour": "purple"})
    assert refused.value.response.status_code == 409
    assert "purple" in refused.value.response.text


def test_a_run_that_is_cancelled_ends_cancelled_and_runs_its_hook(shared: Desk) -> None:
    run = shared.trigger("wait")
    shared.until_marked(f"inside-{run.id}")
    shared.client.set_flow_run_state(run.id, Cancelling())
    shared.until_marked(f"cancelled-{run.id}")
    shared.until_state(run, StateType.CANCELLED)
    shared.until_forgotten(run)
    assert not unfinished_subflows(shared, run)
    assert not (shared.folder / f"went-on-{run.id}").exists()


def test_a_run_whose_process_is_killed_ends_crashed_and_runs_its_hook(shared: Desk) -> None:
    run = shared.trigger("wait")
    pid = int(shared.until_marked(f"waiting-{run.id}"))
    shared.until_marked(f"inside-{run.id}")
    kill(pid)
    shared.until_state(run, StateType.CRASHED)
    assert "signal 9" in shared.until_marked(f"crashed-{run.id}")
    shared.until_forgotten(run)
    assert not unfinished_subflows(shared, run)


def unfinished_subflows(desk: Desk, run: FlowRun) -> list[Any]:
    unfinished = {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}
    wanted = {"parent_flow_run_id": {"any_": [str(run.id)]}, "state": unfinished}
    found: list[Any] = desk.client.request("POST", "/flow_runs/filter", json={"flow_runs": wanted}).json()
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_run_goes_on_without_the_runner_that_started_it(own: Desk, number: signal.Signals) -> None:
    with warm_runner(own.folder, pool=own.pool) as runner:
        run = own.trigger("wait")
        pid = int(own.until_marked(f"waiting-{run.id}"))
        stop(runner, number)
    assert Path(f"/proc/{pid}").exists()
    with warm_runner(own.folder, pool=own.pool):
        assert own.state(run) is StateType.RUNNING
        (own.folder / "go").touch()
        own.until_state(run, StateType.COMPLETED)
        own.until_forgotten(run)


def test_a_run_that_ended_while_no_runner_was_there_is_marked_crashed_by_the_next(own: Desk) -> None:
    with warm_runner(own.folder, pool=own.pool) as runner:
        run = own.trigger("wait")
        pid = int(own.until_marked(f"waiting-{run.id}"))
        stop(runner, signal.SIGKILL)
    kill(pid)
    assert own.state(run) is StateType.RUNNING
    with warm_runner(own.folder, pool=own.pool):
        own.until_state(run, StateType.CRASHED)
        own.until_marked(f"crashed-{run.id}")


def test_a_run_that_was_claimed_and_never_started_is_started_by_the_next_runner(own: Desk) -> None:
    run = own.trigger("greet", greeting={"words": "late"})
    own.client.request("POST", f"/flow_runs/{run.id}/set_state", json={"state": {"type": "PENDING"}})
    claims = own.folder / "claims"
    claims.mkdir()
    (claims / str(run.id)).write_text('{"entrypoint": "tests.flows.stand_in.greet", "pid": null}')
    with warm_runner(own.folder, pool=own.pool):
        own.until_state(run, StateType.COMPLETED)


def stop(runner: subprocess.Popen[bytes], number: signal.Signals) -> None:
    runner.send_signal(number)
    end(runner)


def test_no_more_runs_than_the_limit_go_at_the_same_time(own: Desk) -> None:
    with warm_runner(own.folder, pool=own.pool, limit=1):
        first = own.trigger("wait")
        own.until_marked(f"waiting-{first.id}")
        second = own.trigger("greet", greeting={"words": "second"})
        third = own.trigger("greet", greeting={"words": "third"})
        wait_until(lambda: own.read(second).state_name in ("Scheduled", "Late"), "the second run waits", own.log)
        assert own.state(third) is StateType.SCHEDULED
        (own.folder / "go").touch()
        own.until_state(second, StateType.COMPLETED)
        own.until_state(third, StateType.COMPLETED)


def test_a_second_runner_of_the_same_claims_refuses_to_start(own: Desk) -> None:
    with (
        warm_runner(own.folder, pool=own.pool),
        pytest.raises(AssertionError, match="another_runner_has"),
        warm_runner(own.folder, pool=own.pool),
    ):
        pass


def test_two_runners_of_one_pool_run_each_run_once(own: Desk, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    with warm_runner(own.folder, pool=own.pool), warm_runner(other, pool=own.pool):
        runs = [own.trigger("fail_once") for _ in range(6)]
        for run in runs:
            own.until_state(run, StateType.FAILED)
        assert [(own.folder / f"attempts-{run.id}").read_text() for run in runs] == ["x"] * 6
