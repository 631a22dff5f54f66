"""System-level deployments are made by verified people who are granted them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from deployments.domain.environment import Permission
from deployments.domain.facts import Facts
from deployments.domain.policies.policy import Decision, PolicyDecision
from deployments.domain.spec.service import SecurityLevel
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.validators.security_level import level_of
from deployments.domain.values import ValidationResult


class SystemLevelPolicy:
    """`deploy_system` is never included in another permission."""

    name: ClassVar[str] = "system_level"

    def decide(
        self,
        specification: DeploymentSpecification,
        facts: Facts,
        results: Sequence[ValidationResult],
        risk: int,
    ) -> PolicyDecision:
        """By the highest level that is touched."""
        if level_of(specification, facts) is not SecurityLevel.SYSTEM:
            return PolicyDecision(Decision.ALLOWED, self.name, "It is not a system-level deployment.")
        record, who = facts.environment, facts.principal
        if record is not None and who.is_verified and record.permits(who.name, Permission.DEPLOY_SYSTEM):
            return PolicyDecision(Decision.ALLOWED, self.name, f"{who.name} may deploy at the system level.")
        message = f"{who.name} may not deploy at the system level in {specification.target_environment}."
        remedy = f"Deploy as a verified principal with a grant of `{Permission.DEPLOY_SYSTEM}`."
        return PolicyDecision(Decision.REFUSED, self.name, message, remedy)
