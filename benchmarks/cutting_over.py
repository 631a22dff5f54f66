"""(b) Requests dropped and latency during blue-green and rolling cutovers against steady state."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from benchmarks.finding import Bar, Finding
from benchmarks.house import Deployed, House, house
from benchmarks.measuring import percentile, ratio
from benchmarks.rendering import seconds, times
from benchmarks.specifications import service, specification
from benchmarks.visitors import Visit, between, tell_worst, visitors
from deployments.domain.events import DeploymentEventKind

TITLE = "Requests during a cutover"
RATE = 200.0
REPLICAS = 4
STRATEGIES: dict[str, dict[str, Any]] = {
    "blue-green": {"kind": "blue_green"},
    "rolling": {"kind": "rolling", "batch": 1, "pause": "1s"},
}
AROUND = 0.5
"""Seconds before and after a movement of traffic that count as the movement."""
COLUMNS = ("when", "requests", "dropped", "p50", "p95", "p99", "longest", "p99 / steady")

Spans = list[tuple[float, float]]


def measure(*, quick: bool) -> Finding:
    """One home; an environment for each strategy."""
    steady, cutovers = (3.0, 1) if quick else (10.0, 2)
    rows: list[tuple[str, ...]] = []
    bars = []
    dropped: list[Visit] = []
    with house() as home:
        for name, strategy in STRATEGIES.items():
            visits, spans = cut_over(home, name, strategy, steady=steady, cutovers=cutovers)
            reference = [visit.seconds for visit in prompt(between(visits, spans["steady"]))]
            rows += [row(f"{name}, {when}", between(visits, spans[when]), reference) for when in spans]
            rows.append(row(f"{name}, all", visits, reference))
            lost = [visit for visit in visits if visit.is_dropped]
            dropped += lost
            bars.append(Bar(f"{name}: requests dropped", len(lost), 0, "requests"))
    conditions = (
        f"{REPLICAS} replicas behind one route, {RATE:g} requests a second at fixed times, in turn on kept and on new "
        "connections, and one request a second that takes a second (counted, left out of the percentiles). Steady is "
        f"{steady:g} s before the first cutover. Then {cutovers} more releases follow: *deploying* is from "
        f"the start of the flow to its end, *moving* {AROUND:g} s before and after every movement of traffic. Rolling "
        "replaces one replica at a time, a second apart. Latency counts from when a request was due. Load, proxy, "
        "services and Fairlead share the machine.",
        *tell_worst(dropped),
    )
    return Finding("b", TITLE, conditions, COLUMNS, rows, bars)


def cut_over(
    home: House, name: str, strategy: dict[str, Any], *, steady: float, cutovers: int
) -> tuple[list[Visit], dict[str, Spans]]:
    """Every visit, and what was going on when."""
    deployed = home.deploy(release(home, name, strategy, number=0))
    spans: dict[str, Spans] = {"steady": [], "deploying": [], "moving": []}
    with visitors(deployed.routes["web"], rate=RATE) as load:
        began = time.time()
        time.sleep(steady)
        spans["steady"].append((began, time.time()))
        for number in range(1, cutovers + 1):
            deployed = home.deploy(release(home, name, strategy, number=number))
            spans["deploying"].append((deployed.began, deployed.ended))
            spans["moving"] += movements(home, deployed)
        visits = load.leave()
    home.empty()
    return visits, spans


def release(home: House, name: str, strategy: dict[str, Any], *, number: int) -> dict[str, Any]:
    """The specification of one release."""
    scaling = {"replicas": REPLICAS}
    web = service(home.source, release=str(number), deployment_strategy=strategy, scaling=scaling)
    return specification(name, [web], rollback_procedures={"keep_previous_warm": "0s"})


def movements(home: House, deployed: Deployed) -> Spans:
    """From just before each movement of traffic to just after it."""
    done = [
        event.at.timestamp()
        for event in home.events(deployed.id)
        if event.kind is DeploymentEventKind.STEP_DONE and (event.step or "").startswith("shift:")
    ]
    return [(at - AROUND, at + AROUND) for at in done]


def prompt(visits: Sequence[Visit]) -> list[Visit]:
    """Without those that take long on purpose."""
    return [visit for visit in visits if visit.way != "slow"]


def row(when: str, visits: Sequence[Visit], steady: Sequence[float]) -> tuple[str, ...]:
    """Of the table."""
    taken = [visit.seconds for visit in prompt(visits)]
    dropped = sum(visit.is_dropped for visit in visits)
    shown = [seconds(percentile(taken, share)) for share in (0.5, 0.95, 0.99, 1.0)]
    against = times(ratio(percentile(taken, 0.99), percentile(steady, 0.99)))
    return (when, f"{len(visits)}", f"{dropped}", *shown, against)
