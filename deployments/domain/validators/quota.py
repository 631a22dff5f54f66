"""The environment's quota: deployments in a day, services at once."""

from __future__ import annotations

from typing import ClassVar

from deployments.domain.facts import Facts
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.validators.validator import BaseValidator, Results, environment_of
from deployments.domain.values import Category


class QuotaValidator(BaseValidator):
    """`limits.deployments_per_day` and `limits.services`."""

    name: ClassVar[str] = "quota"
    category: ClassVar[Category] = Category.SOFTWARE

    def validate(self, specification: DeploymentSpecification, facts: Facts) -> Results:
        """Judge the deployments of the last day without this one, and the services with its own."""
        record, found = environment_of(specification, facts), []
        most = record.limits.deployments_per_day
        if most is not None and facts.deployments_today >= most:
            message = f"{record.name} had {facts.deployments_today} deployments within a day; its quota is {most}."
            remedy = "Wait, or raise `limits.deployments_per_day` in the environment's record."
            found.append(self.bad(facts, message, remedy, quota="deployments_per_day", limit=most))
        services = {service.name for service in specification.services} | set(facts.stable)
        most = record.limits.services
        if most is not None and len(services) > most:
            message = f"{record.name} would run {len(services)} services; its quota is {most}."
            remedy = "Deploy fewer, or raise `limits.services` in the environment's record."
            found.append(self.bad(facts, message, remedy, quota="services", limit=most, asked=len(services)))
        return tuple(found) or self.ok(facts, f"The quota of {record.name} holds.")
