"""The environment is in a region that is allowed."""

from __future__ import annotations

from typing import ClassVar

from deployments.domain.facts import Facts
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.validators.validator import BaseValidator, Results, environment_of
from deployments.domain.values import Category


class RegionValidator(BaseValidator):
    """`region` is one of `limits.allowed_regions`, where those are given."""

    name: ClassVar[str] = "allowed_regions"
    category: ClassVar[Category] = Category.SECURITY

    def validate(self, specification: DeploymentSpecification, facts: Facts) -> Results:
        """Judge the region."""
        record = environment_of(specification, facts)
        allowed = record.limits.allowed_regions
        if allowed is None:
            return self.ok(facts, f"The regions of {record.name} are not limited.")
        if record.region is None:
            message = f"{record.name} allows certain regions only, and its record does not say which one it is in."
            return (self.incomplete(facts, message, "Add `region` to the environment's record."),)
        if record.region in allowed:
            return self.ok(facts, f"{record.region} is allowed.")
        message = f"{record.name} is in {record.region}; allowed: {', '.join(allowed) or 'none'}."
        remedy = "Deploy to an environment elsewhere, or change `limits.allowed_regions` in its record."
        return (self.bad(facts, message, remedy, region=record.region),)
