"""Nothing critical is broken, and nothing critical is unknown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from deployments.domain.facts import Facts
from deployments.domain.policies.policy import Decision, PolicyDecision
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.values import ValidationResult


class CriticalResultsPolicy:
    """A critical rule that is broken refuses, and so does one that could not be judged."""

    name: ClassVar[str] = "critical_results"

    def decide(
        self,
        specification: DeploymentSpecification,
        facts: Facts,
        results: Sequence[ValidationResult],
        risk: int,
    ) -> PolicyDecision:
        """By the validators' results."""
        stopping = [result for result in results if result.stops_the_deployment]
        if not stopping:
            return PolicyDecision(Decision.ALLOWED, self.name, "No critical rule is broken.")
        remedies = dict.fromkeys(text for result in stopping for text in result.recommendations)
        return PolicyDecision(
            Decision.REFUSED, self.name, " ".join(result.message for result in stopping), " ".join(remedies)
        )
