"""Who asks is known for certain where it matters."""

from __future__ import annotations

from typing import ClassVar

from deployments.domain.facts import Facts
from deployments.domain.spec.service import SecurityLevel
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.validators.security_level import level_of
from deployments.domain.validators.validator import BaseValidator, Results
from deployments.domain.values import Category


class VerifiedPrincipalValidator(BaseValidator):
    """A name that a trigger only states does not deploy to restricted and system environments."""

    name: ClassVar[str] = "verified_principal"
    category: ClassVar[Category] = Category.SECURITY

    def validate(self, specification: DeploymentSpecification, facts: Facts) -> Results:
        """Judge the principal by the highest level that is touched."""
        level, who = level_of(specification, facts), facts.principal.name
        if facts.principal.is_verified:
            return self.ok(facts, f"{who} is verified by the operating system.")
        if level.rank < SecurityLevel.RESTRICTED.rank:
            return self.ok(facts, f"{who} is not verified, which the level {level} allows.")
        message = f"{who} is a name that a trigger stated; the level {level} asks for a verified principal."
        return (
            self.bad(facts, message, "Deploy from the command line, as the user who is granted it.", level=level.value),
        )
