"""The rules between the fields of a specification, for one that was not read from a text."""

from __future__ import annotations

from typing import ClassVar

from deployments.domain.facts import Facts
from deployments.domain.spec.problems import field_path
from deployments.domain.spec.rules.table import RULES
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.validators import dependencies
from deployments.domain.validators.validator import BaseValidator, Results
from deployments.domain.values import Category


class SpecificationValidator(BaseValidator):
    """Its fields agree with one another."""

    name: ClassVar[str] = "specification"
    category: ClassVar[Category] = Category.SOFTWARE

    def validate(self, specification: DeploymentSpecification, facts: Facts) -> Results:
        """Judge everything but the graph, which `dependencies` judges."""
        found = tuple(
            self.bad(facts, f"{field_path(finding.path)}: {finding.message}", finding.remedy)
            for rule in RULES
            if rule not in dependencies.RULES
            for finding in rule(specification)
        )
        return found or self.ok(facts, "Its fields agree with one another.")
