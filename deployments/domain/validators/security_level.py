"""No service is more sensitive than the environment it runs in."""

from __future__ import annotations

from typing import ClassVar

from deployments.domain.facts import Facts
from deployments.domain.spec.service import SecurityLevel
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.validators.validator import BaseValidator, Results, environment_of
from deployments.domain.values import Category


def level_of(specification: DeploymentSpecification, facts: Facts) -> SecurityLevel:
    """The highest level that a deployment touches: its environment's, or a service's."""
    levels = {service.security_level for service in specification.services}
    return max(levels | {environment_of(specification, facts).security_level}, key=lambda level: level.rank)


class SecurityLevelValidator(BaseValidator):
    """A service's level is at most its environment's."""

    name: ClassVar[str] = "security_level"
    category: ClassVar[Category] = Category.SECURITY

    def validate(self, specification: DeploymentSpecification, facts: Facts) -> Results:
        """Judge every service."""
        record = environment_of(specification, facts)
        found = tuple(
            self.bad(
                facts,
                f"services[{index}].security_level: {service.name} is {service.security_level}, "
                f"which is above {record.name} ({record.security_level}).",
                "Deploy it to an environment of that level, or raise the environment's level in its record.",
                service=service.name,
            )
            for index, service in enumerate(specification.services)
            if service.security_level.rank > record.security_level.rank
        )
        return found or self.ok(facts, f"No service is above the level of {record.name} ({record.security_level}).")
