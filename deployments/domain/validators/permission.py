"""The principal may do this in this environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from deployments.domain.environment import Permission
from deployments.domain.facts import Facts
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.validators.validator import BaseValidator, Results
from deployments.domain.values import Category


@dataclass(frozen=True)
class PermissionValidator(BaseValidator):
    """Holds the permission asked for. Whoever makes a new environment owns it."""

    name: ClassVar[str] = "permission"
    category: ClassVar[Category] = Category.SECURITY
    needed: Permission = Permission.DEPLOY

    def validate(self, specification: DeploymentSpecification, facts: Facts) -> Results:
        """Judge the grants."""
        environment, who = specification.target_environment, facts.principal.name
        if facts.environment is None:
            return self.ok(facts, f"{environment} is new: {who} owns it.")
        if facts.environment.permits(who, self.needed):
            return self.ok(facts, f"{who} may {self.needed} in {environment}.")
        message = f"{who} may not {self.needed} in {environment}."
        remedy = f"Add a grant with `{self.needed}` to the environment's record: fairlead environment apply FILE."
        return (self.bad(facts, message, remedy, principal=who, permission=self.needed.value),)
