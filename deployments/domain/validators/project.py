"""The environment belongs to the project that deploys to it."""

from __future__ import annotations

from typing import ClassVar

from deployments.domain.facts import Facts
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.validators.validator import BaseValidator, Results, environment_of
from deployments.domain.values import Category, Severity


class ProjectValidator(BaseValidator):
    """Grants decide who may; a project in another's environment is still worth a look."""

    name: ClassVar[str] = "project"
    category: ClassVar[Category] = Category.SECURITY
    severity: ClassVar[Severity] = Severity.WARNING

    def validate(self, specification: DeploymentSpecification, facts: Facts) -> Results:
        """Judge the owner."""
        record = environment_of(specification, facts)
        if record.project == specification.project:
            return self.ok(facts, f"{record.name} belongs to {record.project}.")
        message = f"project: {record.name} belongs to {record.project}, not to {specification.project}."
        return (self.bad(facts, message, "Make sure that this is meant.", owner=record.project),)
