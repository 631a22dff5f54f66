"""(f) From a trigger by Prefect's API to the first step, on the warm runner and on an ordinary process worker."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.finding import Bar, Finding
from benchmarks.house import ROOT, House, house, moment
from benchmarks.measuring import median, ratio
from benchmarks.rendering import seconds, times
from benchmarks.specifications import service, specification
from deployments.adapters.control_plane.environment import settings_environment
from deployments.domain.events import DeploymentEventKind

TITLE = "Trigger by API to the first step"
ENVIRONMENT, POOL = "development", "fairlead"
FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
PATIENCE = 180.0
LOOK = 0.05
COLUMNS = ("on", "to the flow", "to the deployment's record", "to the first step", "longest", "times the warm runner")


@dataclass(frozen=True, slots=True)
class Trigger:
    """Seconds from just before the request was sent."""

    flow: float
    record: float
    step: float


def measure(*, quick: bool) -> Finding:
    """The runner of `fairlead up` first; then it stops, and a worker serves the same pool."""
    repetitions = 2 if quick else 5
    with house() as home:
        warm = trigger_often(home, "warm", repetitions)
        home.plane.stop_runner()
        with process_worker(home):
            worker = trigger_often(home, "worker", repetitions)
    rows = [row("warm runner", warm, warm), row("process worker", worker, warm)]
    conditions = (
        "`fairlead up` is running. A run of `deploy/development` is created by Prefect's API with a specification as "
        "its parameter; the first step is the first whose intent is recorded, after validation and planning. The "
        "process worker is Prefect's own, asking for work each second. One trigger at a time; the first of each is "
        f"not counted. Medians of {repetitions}.",
    )
    bars = [
        Bar("warm runner, to the first step", median([each.step for each in warm]), 3, "s"),
        Bar("process worker, to the first step", median([each.step for each in worker]), 5, "s"),
    ]
    return Finding("f", TITLE, conditions, COLUMNS, rows, bars)


@contextmanager
def process_worker(home: House) -> Iterator[None]:
    """`prefect worker start` as people run it, ended whatever happens."""
    environment = {
        **home.prefect_environment(),
        **settings_environment(home.settings),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_WORKER_PREFETCH_SECONDS": "1",
    }
    command = [sys.executable, "-m", "prefect", "worker", "start", "--type", "process", "--pool", POOL]
    with (home.home / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def trigger_often(home: House, name: str, repetitions: int) -> list[Trigger]:
    """One after the other; the first, which waits for whatever starts, is left out."""
    return [trigger(home, f"{name}{number}") for number in range(repetitions + 1)][1:]


def trigger(home: House, release: str) -> Trigger:
    """Create a run, and wait until it has ended."""
    asked = specification(ENVIRONMENT, [service(home.source, release=release)])
    deployment = home.prefect.get(f"/deployments/name/deploy/{ENVIRONMENT}").raise_for_status().json()
    began = time.time()
    created = home.prefect.post(
        f"/deployments/{deployment['id']}/create_flow_run", json={"parameters": {"specification": asked}}
    )
    run = ended(home, created.raise_for_status().json()["id"])
    record = home.records.deployments.by_flow_run(run["id"])
    if record is None or run["state_type"] != "COMPLETED":
        raise RuntimeError(f"the triggered run ended {run['state_type']}: {run['state']['message']}")
    first = min(e.at for e in home.events(record.id) if e.kind is DeploymentEventKind.STEP_INTENDED)
    return Trigger(moment(run["start_time"]) - began, record.created_at.timestamp() - began, first.timestamp() - began)


def ended(home: House, flow_run: str) -> Mapping[str, Any]:
    """The run, once it has ended. Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE
    while True:
        run: Mapping[str, Any] = home.prefect.get(f"/flow_runs/{flow_run}").raise_for_status().json()
        if run["state_type"] in FINAL:
            return run
        if time.monotonic() > deadline:
            raise TimeoutError(f"the triggered run is {run['state_type']} after {PATIENCE:g} s")
        time.sleep(LOOK)


def row(where: str, triggers: list[Trigger], warm: list[Trigger]) -> tuple[str, ...]:
    """Of the table."""
    step = median([each.step for each in triggers])
    return (
        where,
        seconds(median([each.flow for each in triggers])),
        seconds(median([each.record for each in triggers])),
        seconds(step),
        seconds(max(each.step for each in triggers)),
        times(ratio(step, median([each.step for each in warm]))),
    )
