"""Every source exists and was resolved to content."""

from __future__ import annotations

from typing import ClassVar

from deployments.domain.facts import Facts
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.validators.validator import BaseValidator, Results
from deployments.domain.values import Category, Severity


class SourcesValidator(BaseValidator):
    """What is built is known by its content before anything is touched."""

    name: ClassVar[str] = "sources"
    category: ClassVar[Category] = Category.SOFTWARE

    def validate(self, specification: DeploymentSpecification, facts: Facts) -> Results:
        """Judge every service's source."""
        found = []
        for index, service in enumerate(specification.services):
            wrong = facts.missing_paths.get(service.name)
            if wrong:
                message = f"services[{index}].source: {service.name}: {wrong}"
                found.append(self.bad(facts, message, "Mend the source, or name another.", service=service.name))
            elif service.name not in facts.locks:
                message = f"services[{index}].source: {service.name}: it was not resolved."
                remedy = "Resolve it before judging."
                found.append(self.incomplete(facts, message, remedy, severity=Severity.WARNING, service=service.name))
        return tuple(found) or self.ok(facts, "Every source is resolved to its content.")
