"""A deployment's name is unique within its environment."""

from __future__ import annotations

from typing import ClassVar

from deployments.domain.facts import Facts
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.validators.validator import BaseValidator, Results
from deployments.domain.values import Category


class UniqueNameValidator(BaseValidator):
    """The name is free; one that is not given is generated."""

    name: ClassVar[str] = "unique_name"
    category: ClassVar[Category] = Category.SOFTWARE

    def validate(self, specification: DeploymentSpecification, facts: Facts) -> Results:
        """Judge the name."""
        name = specification.name
        if name is not None and name in facts.names_in_use:
            message = f"name: {specification.target_environment} has a deployment named {name} already."
            return (self.bad(facts, message, "Choose another name, or leave it out: one is generated.", name=name),)
        return self.ok(facts, "The name is free.")
