"""Every policy. A new one is a file and a row here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from deployments.domain.facts import Facts
from deployments.domain.policies.critical_results import CriticalResultsPolicy
from deployments.domain.policies.permission import PermissionPolicy
from deployments.domain.policies.policy import Decision, Policy, PolicyDecision
from deployments.domain.policies.system_level import SystemLevelPolicy
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.values import ValidationResult

POLICIES: tuple[Policy, ...] = (PermissionPolicy(), SystemLevelPolicy(), CriticalResultsPolicy())
STRICTNESS = tuple(Decision)


def decide_all(
    specification: DeploymentSpecification,
    facts: Facts,
    *,
    results: Sequence[ValidationResult],
    risk: int,
) -> tuple[PolicyDecision, ...]:
    """What every policy decides."""
    return tuple(policy.decide(specification, facts, results, risk) for policy in POLICIES)


def strictest(decisions: Iterable[PolicyDecision]) -> Decision:
    """What all of them together allow; ALLOWED when there are none."""
    found = (decision.decision for decision in decisions)
    return max(found, key=STRICTNESS.index, default=Decision.ALLOWED)
