"""Only who may deploy here deploys here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from deployments.domain.environment import Permission
from deployments.domain.facts import Facts
from deployments.domain.policies.policy import Decision, PolicyDecision
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.values import ValidationResult


@dataclass(frozen=True)
class PermissionPolicy:
    """The environment's record grants it. A new environment is owned by whoever makes it."""

    name: ClassVar[str] = "permission"
    needed: Permission = Permission.DEPLOY

    def decide(
        self,
        specification: DeploymentSpecification,
        facts: Facts,
        results: Sequence[ValidationResult],
        risk: int,
    ) -> PolicyDecision:
        """By the grants."""
        who, environment = facts.principal.name, specification.target_environment
        if facts.environment is None or facts.environment.permits(who, self.needed):
            return PolicyDecision(Decision.ALLOWED, self.name, f"{who} may {self.needed} in {environment}.")
        remedy = f"Add a grant with `{self.needed}` to the environment's record."
        return PolicyDecision(Decision.REFUSED, self.name, f"{who} may not {self.needed} in {environment}.", remedy)
