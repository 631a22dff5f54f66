"""(c) Rollback: from the decision to the last new request that is routed to the bad release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.finding import Bar, Finding
from benchmarks.house import TAKEN_BACK, House, house
from benchmarks.measuring import median
from benchmarks.rendering import percent, seconds
from benchmarks.specifications import service, specification
from benchmarks.visitors import Visit, tell_worst, visitors
from deployments.domain.events import DeploymentEventKind

TITLE = "Rollback"
RATE = 200.0
DECIDED = (DeploymentEventKind.CRITERIA_JUDGED, DeploymentEventKind.STEP_FAILED, DeploymentEventKind.FAILED)
"""Whichever comes first: that the release is bad is known from here on."""
COLUMNS = ("", "median", "longest", "share of the time bad")


@dataclass(frozen=True, slots=True)
class Return:
    """One bad release, in seconds."""

    exposed: float
    """From the first to the last request that the bad release answered."""
    last_request: float
    """From the decision to the last one that was sent; below 0 where none was sent after the decision."""
    complete: float
    """From the decision to the end of the flow."""


def measure(*, quick: bool) -> Finding:
    """One home, one environment; each bad release is another one, for a release that came back is quarantined."""
    repetitions = 1 if quick else 3
    with house() as home:
        returns, strangers = come_back(home, repetitions)
    conditions = (
        f"{RATE:g} requests a second on one route while a release goes out by blue-green whose pages fail and whose "
        "health check does not see it. The success criteria find it; the decision is the first event that says so, in "
        "database time. The last request is the last one *sent* by a visitor that the bad release answered. "
        f"{repetitions} bad releases.",
        *tell_worst(strangers),
    )
    rows = [
        row("decision to the last request to the bad release", [each.last_request for each in returns], returns),
        row("decision to everything taken back", [each.complete for each in returns], returns),
    ]
    bars = [
        Bar("decision to the last new request to the bad release", max(e.last_request for e in returns), 1, "s"),
        Bar("failures that the bad release did not cause", len(strangers), 0, "requests"),
    ]
    return Finding("c", TITLE, conditions, COLUMNS, rows, bars)


def come_back(home: House, repetitions: int) -> tuple[list[Return], list[Visit]]:
    """A good release, and under load one bad one after the other; and the failures that none of these caused."""
    deployed = home.deploy(release(home, "good"))
    ended = []
    with visitors(deployed.routes["web"], rate=RATE) as load:
        for number in range(repetitions):
            name = f"bad{number}"
            back = home.deploy(release(home, name), expect=(TAKEN_BACK,))
            decided = min(e.at.timestamp() for e in home.events(back.id) if e.kind in DECIDED)
            ended.append((name, decided, back.ended))
        visits = load.leave()
    strangers = [visit for visit in visits if visit.is_dropped and not visit.told.startswith("release bad")]
    return [returned(visits, name, decided, end) for name, decided, end in ended], strangers


def returned(visits: list[Visit], name: str, decided: float, ended: float) -> Return:
    """What visitors saw of one bad release."""
    seen = [visit.sent for visit in visits if visit.told == f"release {name}" and visit.way != "slow"]
    if not seen:
        raise ValueError(f"no visitor saw the release {name}: nothing was measured")
    return Return(max(seen) - min(seen), max(seen) - decided, ended - decided)


def release(home: House, name: str) -> dict[str, Any]:
    """Its pages fail when the name begins with `bad`."""
    criteria = {"bake": "20s" if name.startswith("bad") else "0s", "error_rate": 0.01, "minimum_requests": 20}
    return specification("live", [service(home.source, release=name)], success_criteria=criteria)


def row(what: str, taken: list[float], returns: list[Return]) -> tuple[str, ...]:
    """Of the table."""
    exposed = median([each.exposed for each in returns])
    return (what, seconds(median(taken)), seconds(max(taken)), percent(median(taken) / exposed))
