"""(d) Planning for 10, 100, 1,000 and 10,000 services, and how it grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmarks.finding import Bar, Finding
from benchmarks.measuring import ratio, seconds_of
from benchmarks.rendering import seconds, times
from benchmarks.specifications import layered, specification
from deployments.domain.facts import Facts, Principal, RunningRelease
from deployments.domain.plan import Plan
from deployments.domain.planning import plan_deployment
from deployments.domain.ports import Endpoint, MachineFacts, SourceLock
from deployments.domain.spec.specification import DeploymentSpecification

TITLE = "Planning"
SIZES = (10, 100, 1_000, 10_000)
WIDTH = 5
COLUMNS = (
    "services",
    "all new",
    "all replaced",
    "nothing to do",
    "steps",
    "replaced, per service",
    "against 10 services",
)


@dataclass(frozen=True, slots=True)
class Size:
    """What one size took, in seconds."""

    services: int
    new: float
    replaced: float
    unchanged: float
    steps: int


def measure(*, quick: bool) -> Finding:
    """In this process: the planner is pure."""
    fewest = 2 if quick else 5
    sizes = [measure_size(size, times=max(fewest, min(200, 5_000 // size))) for size in SIZES]
    first = sizes[0].replaced / sizes[0].services
    rows = [row(size, first) for size in sizes]
    conditions = (
        f"The pure planner, from a specification that is read and facts that are gathered, in layers of {WIDTH} "
        "services that each need all of the layer before. *All replaced* plans a new release of every service beside "
        f"the old one. Medians of {fewest} for the largest, of more for the smaller. Python's garbage collector "
        "runs; it takes a larger share the more objects there are.",
    )
    largest = sizes[-1]
    longest = max(largest.new, largest.replaced, largest.unchanged)
    return Finding("d", TITLE, conditions, COLUMNS, rows, [Bar(f"{largest.services:,} services", longest, 2, "s")])


def measure_size(services: int, *, times: int) -> Size:
    """Plan three times over: nothing runs, the former release runs, this release runs."""
    written = layered(Path("/srv/source"), layers=services // WIDTH, width=WIDTH, seconds=0)
    asked = DeploymentSpecification.model_validate(specification("production", written))
    empty = facts(asked)
    first = plan(asked, empty)
    routes = {change.service: 10_000 + number for number, change in enumerate(first.changes)}
    before = replace(empty, stable=running(first, version="0.9", revision="before"), routes=routes)
    now = replace(empty, stable=running(first, version="1.0", revision=None), routes=routes)
    assert plan(asked, now).is_empty
    new, replaced, unchanged = (seconds_of(partial(plan, asked, seen), times=times) for seen in (empty, before, now))
    return Size(services, new, replaced, unchanged, len(plan(asked, before).steps))


def plan(asked: DeploymentSpecification, seen: Facts) -> Plan:
    """As the deployment of this id."""
    return plan_deployment(asked, seen, deployment="20261126-100000-abcdef")


def facts(asked: DeploymentSpecification) -> Facts:
    """An empty environment, with every source resolved."""
    machine = MachineFacts(64, 500_000, 400_000, 900_000, can_limit_memory=True, can_limit_cpu=True)
    lock = SourceLock(kind="path", digest="d" * 64)
    return Facts(
        now=datetime(2026, 1, 1, tzinfo=UTC),
        principal=Principal("ann"),
        machine=machine,
        locks={service.name: lock for service in asked.services},
    )


def running(planned: Plan, *, version: str, revision: str | None) -> dict[str, RunningRelease]:
    """Every service of the plan as if it ran, of this revision or of the planned one."""
    found = {}
    for number, change in enumerate(planned.changes):
        its = revision or change.revision
        endpoints: Sequence[Endpoint] = [Endpoint(instance, 20_000 + number, its) for instance in change.instances]
        found[change.service] = RunningRelease(
            change.service, its, change.release, version, "before", tuple(endpoints), 0.01, 32
        )
    return found


def row(size: Size, first: float) -> tuple[str, ...]:
    """Of the table."""
    each = size.replaced / size.services
    return (
        f"{size.services:,}",
        seconds(size.new),
        seconds(size.replaced),
        seconds(size.unchanged),
        f"{size.steps:,}",
        seconds(each),
        times(ratio(each, first)),
    )
