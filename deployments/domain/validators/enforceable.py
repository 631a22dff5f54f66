"""Says which of the limits asked for this machine cannot enforce."""

from __future__ import annotations

from typing import ClassVar

from deployments.domain.facts import Facts
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.validators.validator import BaseValidator, Results
from deployments.domain.values import Category, Severity


class EnforceableLimitsValidator(BaseValidator):
    """A limit that is only a wish is told before the deployment, not found out after."""

    name: ClassVar[str] = "enforceable_limits"
    category: ClassVar[Category] = Category.HARDWARE
    severity: ClassVar[Severity] = Severity.INFO

    def validate(self, specification: DeploymentSpecification, facts: Facts) -> Results:
        """Judge the machine's means."""
        remedy = "Leave room, or run Fairlead where it may use control groups."
        found = []
        if not facts.machine.can_limit_memory:
            message = "This machine cannot hold instances to resources.memory_mb: they may use more."
            found.append(self.bad(facts, message, remedy))
        if not facts.machine.can_limit_cpu:
            message = "This machine cannot hold instances to resources.cpu: they may use more."
            found.append(self.bad(facts, message, remedy))
        return tuple(found) or self.ok(facts, "The machine enforces the limits of instances.")
