"""The planner, case by case: each file in `cases` says what is given, what is asked, and which steps follow.

A step is written as its key and what it waits for. Instances that serve are `<service>-old-<n>`, warm ones
`<service>-warm-<n>`, new ones `<service>-new-<n>`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.domain.codec import plan_from_json, plan_to_json
from deployments.domain.errors import Refused
from deployments.domain.facts import Facts, RunningRelease
from deployments.domain.plan import Plan
from deployments.domain.planning import plan_deployment
from deployments.domain.ports import Endpoint
from deployments.domain.revisions import release_of, revision_of
from deployments.domain.spec.service import ServiceType
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.steps import Phase
from tests.domain import specifications

CASES = {
    file.stem: yaml.safe_load(file.read_text(encoding="utf-8"))
    for file in sorted((Path(__file__).parent / "cases").glob("*.yaml"))
}
PLANNED = [name for name, case in CASES.items() if "refused" not in case]
REFUSED = [name for name, case in CASES.items() if "refused" in case]
PHASES = list(Phase)


def read_specification(case: dict[str, Any]) -> DeploymentSpecification:
    """What is asked, with what every service needs filled in."""
    fields = dict(case["specification"])
    services = [specifications.service(**service) for service in fields.pop("services")]
    return specifications.specification(*services, **fields)


def read_facts(case: dict[str, Any], asked: DeploymentSpecification) -> Facts:
    """What is given."""
    given = case.get("given") or {}
    found = specifications.facts()
    releases = {service.name: release_of(service, found.locks[service.name]) for service in asked.services}

    def runs(name: str, kind: str, revision: str, instances: int = 1) -> RunningRelease:
        present = revision_of(asked, asked.service(name), releases[name]) if revision == "as asked" else "0123456789ab"
        endpoints = tuple(Endpoint(f"{name}-{kind}-{n}", 9000 + n, present) for n in range(1, instances + 1))
        return RunningRelease(name, present, releases[name], "1.0", "before", endpoints)

    web = {service.name for service in asked.services if service.type is ServiceType.WEB}
    present = {name: 8000 + n for n, name in enumerate(given.get("serving", {})) if name in web}
    return specifications.facts(
        stable={name: runs(name, "old", **fields) for name, fields in given.get("serving", {}).items()},
        warm={name: (runs(name, "warm", **fields),) for name, fields in given.get("warm", {}).items()},
        leftovers={name: tuple(left) for name, left in given.get("leftovers", {}).items()},
        routes=given.get("routes", present),
        resources=frozenset(given.get("resources", ())),
        built=frozenset(releases[name] for name in given.get("built", ())),
    )


def plan_case(name: str) -> Plan:
    """The plan of a case."""
    case = CASES[name]
    asked = read_specification(case)
    return plan_deployment(asked, read_facts(case, asked), deployment="new", is_rollback=case.get("rollback", False))


def as_written(plan: Plan) -> dict[str, list[dict[str, list[str]]]]:
    """The steps as a case writes them."""
    phases = {phase.value: [{step.key: list(step.after)} for step in plan.of_phase(phase)] for phase in Phase}
    return {phase: steps for phase, steps in phases.items() if steps}


@pytest.mark.parametrize("name", PLANNED)
def test_the_plan_has_these_steps_in_this_order(name: str) -> None:
    assert as_written(plan_case(name)) == CASES[name]["steps"]


@pytest.mark.parametrize("name", PLANNED)
def test_the_changes_and_the_weights_are_these(name: str) -> None:
    plan = plan_case(name)
    assert {change.service: change.kind.value for change in plan.changes} == CASES[name]["changes"]
    weights = {step.key: dict(getattr(step.action, "weights", {})) for step in plan.steps}
    assert {key: weights[key] for key in weights if weights[key]} == CASES[name].get("weights", {})


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_ordered_is_refused(name: str) -> None:
    with pytest.raises(Refused, match=CASES[name]["refused"]):
        plan_case(name)


@pytest.mark.parametrize("name", PLANNED)
def test_a_step_waits_only_for_steps_before_it_and_keys_are_unique(name: str) -> None:
    steps = plan_case(name).steps
    seen: dict[str, int] = {}
    for step in steps:
        assert step.key not in seen
        assert all(PHASES[seen[key]] == step.phase for key in step.after)
        seen[step.key] = PHASES.index(step.phase)
    assert list(seen.values()) == sorted(seen.values()), "phases follow one another"


@pytest.mark.parametrize("name", PLANNED)
def test_the_same_input_gives_the_same_plan(name: str) -> None:
    assert plan_case(name) == plan_case(name)


@pytest.mark.parametrize("name", PLANNED)
def test_a_plan_comes_back_from_json_as_it_was(name: str) -> None:
    plan = plan_case(name)
    assert plan_from_json(plan_to_json(plan)) == plan


def test_a_source_that_is_not_resolved_is_refused() -> None:
    with pytest.raises(Refused, match="api is not resolved"):
        plan_deployment(specifications.specification(), specifications.facts(locks={}), deployment="new")
