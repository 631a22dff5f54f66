"""A deployment moves between states as the one table allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from deployments.domain.errors import IllegalTransition
from deployments.domain.facts import Facts
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.status import DeploymentStatus, check_transition
from deployments.domain.validators.validator import BaseValidator, Results
from deployments.domain.values import Category


@dataclass(frozen=True)
class StatusTransitionValidator(BaseValidator):
    """One move, judged before it is made. The table of validators has the move into `validating`, which judging is."""

    name: ClassVar[str] = "status_transition"
    category: ClassVar[Category] = Category.SOFTWARE
    present: DeploymentStatus = DeploymentStatus.QUEUED
    target: DeploymentStatus = DeploymentStatus.VALIDATING

    def validate(self, specification: DeploymentSpecification, facts: Facts) -> Results:
        """Judge the move."""
        try:
            check_transition(self.present, self.target)
        except IllegalTransition as error:
            return (self.bad(facts, error.message, error.remedy or ""),)
        return self.ok(facts, f"{self.present} may become {self.target}.")
