"""Dependencies exist and come first; a circle is named."""

from __future__ import annotations

from typing import ClassVar

from deployments.domain.facts import Facts
from deployments.domain.spec.problems import field_path
from deployments.domain.spec.rules import graph
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.validators.validator import BaseValidator, Results
from deployments.domain.values import Category

RULES = (graph.unknown_dependencies, graph.cycles, graph.activation_order)


class DependenciesValidator(BaseValidator):
    """Every service can be started after those it depends on."""

    name: ClassVar[str] = "dependencies"
    category: ClassVar[Category] = Category.SOFTWARE

    def validate(self, specification: DeploymentSpecification, facts: Facts) -> Results:
        """Judge the graph."""
        found = tuple(
            self.bad(facts, f"{field_path(finding.path)}: {finding.message}", finding.remedy)
            for rule in RULES
            for finding in rule(specification)
        )
        return found or self.ok(facts, "Every service can be started after those it depends on.")
