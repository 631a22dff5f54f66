"""Reading an environment's record."""

from __future__ import annotations

import pytest

from deployments.domain.environment import Permission
from deployments.domain.errors import InvalidSpecification
from deployments.domain.reading.environment import parse_environment, read_environment

GOOD = """\
name: production
project: shop
region: eu-1
limits: {cost_per_hour: 3.5, allowed_regions: [eu-1]}
prices: {cpu_hour: 0.02, memory_gb_hour: 0.01}
grants:
  - principal: ann
    permissions: [deploy, rollback]
  - principal: bob
    permissions: [administer]
"""


def test_a_record_is_read() -> None:
    record = read_environment(GOOD, file="production.yaml").require()
    assert record.permits("ann", Permission.DEPLOY)
    assert not record.permits("ann", Permission.ADMINISTER)
    assert not record.permits("eve", Permission.DEPLOY)


def test_who_administers_may_deploy_and_roll_back_but_not_at_the_system_level() -> None:
    record = read_environment(GOOD, file="f").require()
    assert record.permits("bob", Permission.DEPLOY)
    assert record.permits("bob", Permission.ROLLBACK)
    assert not record.permits("bob", Permission.DEPLOY_SYSTEM)


PROBLEMS = {
    "an unknown permission": ("rollback]", "roll_back]", "grants[0].permissions[1]", 8, "Did you mean `rollback`?"),
    "a price that is missing": (", memory_gb_hour: 0.01", "", "prices.memory_gb_hour", 5, "Add it"),
    "a negative limit": ("3.5", "-1", "limits.cost_per_hour", 4, ""),
    "a principal twice": ("principal: bob", "principal: ann", "grants[1].principal", 9, "one grant"),
    "a field of a specification": (
        "name: production",
        "name: production\nservices: []",
        "services",
        2,
        "limits.services",
    ),
}


@pytest.mark.parametrize(("old", "new", "field", "line", "remedy"), PROBLEMS.values(), ids=PROBLEMS)
def test_a_problem_has_line_field_and_remedy(old: str, new: str, field: str, line: int, remedy: str) -> None:
    outcome = read_environment(GOOD.replace(old, new), file="f")
    assert [(p.field, p.line) for p in outcome.problems] == [(field, line)]
    assert remedy in outcome.problems[0].remedy
    with pytest.raises(InvalidSpecification, match="record has 1 problem:"):
        outcome.require()


def test_parameters_are_cleaned_and_judged_too() -> None:
    outcome = parse_environment({"name": "test", "project": "shop", "description": "<b>x", "region": "eu\x07"})
    record = outcome.require()
    assert (record.description, record.region) == ("x", "eu")
    assert len(outcome.changes) == 2
