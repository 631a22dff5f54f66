"""All validators together."""

from __future__ import annotations

import pkgutil
from typing import Any

import pytest

import deployments.domain.validators as package
from deployments.domain.environment import Permission
from deployments.domain.facts import Principal
from deployments.domain.validators.table import VALIDATORS, validate_all
from tests.domain.specifications import environment, facts, service, specification

FRAMES = {"validator", "table", "demand"}


def test_every_file_is_a_row_of_the_table() -> None:
    files = {module.name for module in pkgutil.iter_modules(package.__path__)} - FRAMES
    assert {type(validator).__module__.rpartition(".")[2] for validator in VALIDATORS} == files
    assert len({validator.name for validator in VALIDATORS}) == len(VALIDATORS)


def test_what_is_fine_is_said_by_every_validator() -> None:
    results = validate_all(specification(), facts())
    assert [result.validator for result in results] == [validator.name for validator in VALIDATORS]
    assert all(result.is_valid and result.is_complete for result in results)
    assert not any(result.stops_the_deployment for result in results)


STOPPING: dict[str, dict[str, Any]] = {
    "a critical rule that is broken": {"principal": Principal("eve")},
    "a critical rule that cannot be judged": {"environment": environment(limits={"cost_per_hour": 1})},
}


@pytest.mark.parametrize("observed", STOPPING.values(), ids=STOPPING)
def test_it_stops_the_deployment(observed: dict[str, Any]) -> None:
    assert any(result.stops_the_deployment for result in validate_all(specification(), facts(**observed)))


def test_a_warning_does_not_stop_it() -> None:
    results = validate_all(specification(service(port=80)), facts())
    assert any(not result.is_valid for result in results)
    assert not any(result.stops_the_deployment for result in results)


def test_a_rollback_asks_for_its_own_permission() -> None:
    grants = [{"principal": "ann", "permissions": ["rollback"]}]
    observed = facts(environment=environment(grants=grants))
    assert any(result.stops_the_deployment for result in validate_all(specification(), observed))
    allowed = validate_all(specification(), observed, permission=Permission.ROLLBACK)
    assert not any(result.stops_the_deployment for result in allowed)
