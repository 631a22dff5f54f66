"""(h) Killed: how long until everything is settled, and until traffic is back with nobody left but the proxy."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.finding import Bar, Finding
from benchmarks.house import House, house
from benchmarks.measuring import median
from benchmarks.rendering import seconds, times
from benchmarks.specifications import service, specification
from benchmarks.visitors import Visit, tell_worst, visitors
from deployments.adapters.control_plane.runs import ClaimedRuns
from deployments.adapters.haproxy.proxy import HAProxy
from deployments.adapters.supervisor.host import ProcessHost
from deployments.adapters.supervisor.identity import ProcessIdentity, find_by_environment
from deployments.assembly import data_plane
from deployments.domain.status import DeploymentStatus
from deployments.settings import Timings

TITLE = "Killed in the middle of a split"
ENVIRONMENT = "development"
RATE = 50.0
PATIENCE = 120.0
LOOK = 0.05
COLUMNS = ("", "median", "longest", "longest, times its limit")
SETTLED_LIMIT = 30.0
FIRES_WITHIN = 1.0
"""The handle looks ten times a second, and a request that was sent just before counts."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Seconds from the kill."""

    traffic: float
    """Until the last request that the new release answered was sent."""
    settled: float
    """Until the deployment was final and the environment free."""
    dropped: list[Visit]


def measure(*, quick: bool) -> Finding:
    """One home with the default settings; every deployment is another release."""
    repetitions = 1 if quick else 5
    handle = Timings().handle.total_seconds()
    with house() as home:
        home.deploy(release(home, "r0", bake="0s"))
        killed = [kill_controller(home, f"k{number}") for number in range(repetitions)]
        alone = [kill_everybody(home, f"a{number}") for number in range(1 if quick else 2)]
    settled, returned = [each.settled for each in killed], [each.traffic for each in alone]
    dropped = sum(len(each.dropped) for each in (*killed, *alone))
    conditions = (
        "`fairlead up` is running with default settings. A deployment triggered by Prefect's API has moved all traffic "
        f"to its release and watches it, under {RATE:g} requests a second. Then SIGKILL to its process and to the warm "
        f"runner together ({len(killed)} times); or to everything there is but HAProxy and the services: both "
        f"supervisors, PostgreSQL, Prefect's server, runner, reconciler, deployment, meter ({len(alone)} times).",
        *tell_worst([visit for each in (*killed, *alone) for visit in each.dropped]),
    )
    rows = [
        row("controller and runner killed, until all traffic is back", [e.traffic for e in killed], SETTLED_LIMIT),
        row("controller and runner killed, until everything is settled", settled, SETTLED_LIMIT),
        row("all but the proxy killed, until all traffic is back", returned, handle),
    ]
    bars = [
        Bar("controller and runner killed, until everything is settled", max(settled), SETTLED_LIMIT, "s"),
        Bar("all but the proxy killed, until all traffic is back", max(returned), handle + FIRES_WITHIN, "s"),
        Bar("failed requests", dropped, 0, "requests"),
    ]
    return Finding("h", TITLE, conditions, COLUMNS, rows, bars)


def kill_controller(home: House, name: str) -> Ending:
    """The run's process and the warm runner."""
    with visitors(route(home), rate=RATE) as load:
        deployment = watched(home, name)
        victims = [*run_processes(home), *identities(home, "runner")]
        began = time.time()
        kill(victims)
        settled = until_settled(home, deployment) - began
        visits = load.leave()
    return Ending(last_of(visits, name) - began, settled, [visit for visit in visits if visit.is_dropped])


def kill_everybody(home: House, name: str) -> Ending:
    """Both supervisors first, so that they start nothing again; then all that is neither proxy nor service."""
    with visitors(route(home), rate=RATE) as load:
        watched(home, name)
        supervisors = [supervisor(home.settings.run_directory / plane) for plane in ("control", "data")]
        meter = data_plane(home.settings).service_identity(f"meter-{ENVIRONMENT}")
        others = find_by_environment({"FAIRLEAD_SUPERVISOR": str(home.home / "control-plane")})
        began = time.time()
        kill([*supervisors, *run_processes(home), *others, meter])
        wait_until(lambda: answer(route(home)) != f"release {name}", "the traffic to return")
        visits = load.leave()
    home.__dict__.pop("records", None)
    home.__dict__.pop("prefect", None)
    home.run("up")
    last = home.records.queries.history(limit=1)[0]
    settled = until_settled(home, last.id) - began
    return Ending(last_of(visits, name) - began, settled, [visit for visit in visits if visit.is_dropped])


def watched(home: House, name: str) -> str:
    """Trigger it; return its id when its release has the traffic and is being watched."""
    found = home.prefect.get(f"/deployments/name/deploy/{ENVIRONMENT}").raise_for_status().json()
    parameters = {"parameters": {"specification": release(home, name, bake="10m")}}
    run = home.prefect.post(f"/deployments/{found['id']}/create_flow_run", json=parameters).raise_for_status().json()

    def is_watched() -> bool:
        record = home.records.deployments.by_flow_run(run["id"])
        return record is not None and record.status is DeploymentStatus.MONITORING

    wait_until(is_watched, "the release to be watched")
    record = home.records.deployments.by_flow_run(run["id"])
    assert record is not None
    return record.id


def until_settled(home: House, deployment: str) -> float:
    """When it was final and nobody held its environment."""
    records = home.records
    wait_until(
        lambda: records.deployments.get(deployment).is_final and records.leases.holder(ENVIRONMENT) is None,
        "the environment to be settled",
    )
    return time.time()


def release(home: House, name: str, *, bake: str) -> dict[str, Any]:
    """One web service that names its release."""
    return specification(ENVIRONMENT, [service(home.source, release=name)], success_criteria={"bake": bake})


def route(home: House) -> str:
    """The service's public address, from the proxy's own file."""
    settings = home.settings
    proxy = HAProxy(ENVIRONMENT, settings.home / "proxy", settings.run_directory, data_plane(settings))
    return f"http://127.0.0.1:{proxy.routes()[0].port}"


def answer(url: str) -> str:
    """What it says."""
    return httpx.get(url, trust_env=False, timeout=30).text


def last_of(visits: list[Visit], name: str) -> float:
    """When the last request that the release answered was sent."""
    return max(visit.sent for visit in visits if visit.told == f"release {name}" and visit.way != "slow")


def run_processes(home: House) -> list[ProcessIdentity | None]:
    """The processes of flow runs under way."""
    runs = ClaimedRuns(home.home / "control" / "runs").alive()
    return [ProcessIdentity.of(run.pid) for run in runs if run.pid]


def identities(home: House, *names: str) -> list[ProcessIdentity | None]:
    """Services of the control plane."""
    host = ProcessHost(home.home / "control-plane", home.settings.run_directory / "control")
    return [host.service_identity(name) for name in names]


def supervisor(run_directory: Path) -> ProcessIdentity | None:
    """The supervisord of a run directory."""
    return ProcessIdentity.of(int((run_directory / "supervisord.pid").read_text()))


def kill(victims: list[ProcessIdentity | None]) -> None:
    """SIGKILL to all of them, one right after the other."""
    for victim in victims:
        if victim is not None:
            with suppress(ProcessLookupError):
                os.kill(victim.pid, signal.SIGKILL)


def wait_until(holds: Any, what: str) -> None:
    """Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE:g} s for {what}")
        time.sleep(LOOK)


def row(what: str, taken: list[float], limit: float) -> tuple[str, ...]:
    """Of the table."""
    return (what, seconds(median(taken)), seconds(max(taken)), times(max(taken) / limit))
