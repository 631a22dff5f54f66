"""Policies: allowed or refused, each by one consideration."""

from __future__ import annotations

import pkgutil
from typing import Any

import pytest

import deployments.domain.policies as package
from deployments.domain.facts import Principal
from deployments.domain.policies.policy import Decision, PolicyDecision
from deployments.domain.policies.table import POLICIES, decide_all, strictest
from deployments.domain.validators.table import validate_all
from tests.domain.specifications import environment, facts, service, specification

GRANTS = [{"principal": "ann", "permissions": ["deploy", "deploy_system"]}]
SYSTEM = {"environment": environment(security_level="system", grants=GRANTS)}

REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], set[str]]] = {
    "nothing": ({}, {}, set()),
    "no permission": ({}, {"principal": Principal("eve")}, {"permission", "critical_results"}),
    "a critical rule": ({"name": "x"}, {"names_in_use": {"x"}}, {"critical_results"}),
    "an unverified principal at the system level": (
        {"metadata": {"commit": "a"}},
        {"principal": Principal("ann", is_verified=False), **SYSTEM},
        {"system_level", "critical_results"},
    ),
    "nothing at the system level": ({"metadata": {"commit": "a"}}, SYSTEM, set()),
}


@pytest.mark.parametrize(("asked", "observed", "refusing"), REFUSED.values(), ids=REFUSED)
def test_a_policy_refuses_by_its_consideration(
    asked: dict[str, Any], observed: dict[str, Any], refusing: set[str]
) -> None:
    wanted, seen = specification(service(), **asked), facts(**observed)
    decisions = decide_all(wanted, seen, results=validate_all(wanted, seen), risk=10)
    assert {decision.policy for decision in decisions if decision.decision is Decision.REFUSED} == refusing
    assert all(decision.remedy for decision in decisions if decision.decision is Decision.REFUSED)
    assert strictest(decisions) is (Decision.REFUSED if refusing else Decision.ALLOWED)


def test_the_strictest_decision_counts() -> None:
    made = [PolicyDecision(decision, "x", "x") for decision in Decision]
    assert strictest(made) is Decision.REFUSED
    assert strictest(made[:2]) is Decision.NEEDS_APPROVAL
    assert strictest([]) is Decision.ALLOWED


def test_every_file_is_a_row_of_the_table() -> None:
    files = {module.name for module in pkgutil.iter_modules(package.__path__)} - {"policy", "table"}
    assert {type(policy).__module__.rpartition(".")[2] for policy in POLICIES} == files
