"""Deadlines and strategies fit one another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from deployments.domain.facts import Facts
from deployments.domain.spec.model import format_duration as words
from deployments.domain.spec.service import ServiceSpecification, ServiceType
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.spec.strategy import Recreate, Rolling
from deployments.domain.validators.validator import BaseValidator, Results
from deployments.domain.values import Category, Severity


class TimingValidator(BaseValidator):
    """Says beforehand where requests may fail or a rollout runs out of time."""

    name: ClassVar[str] = "timing"
    category: ClassVar[Category] = Category.SOFTWARE
    severity: ClassVar[Severity] = Severity.WARNING

    def validate(self, specification: DeploymentSpecification, facts: Facts) -> Results:
        """Judge every service."""
        found = tuple(
            self.bad(facts, f"services[{index}].{message}", remedy, service=service.name)
            for index, service in enumerate(specification.services)
            for message, remedy in (*recreate_holds(service), *rolling_fits(service))
        )
        return found or self.ok(facts, "Deadlines and strategies fit one another.")


def recreate_holds(service: ServiceSpecification) -> Iterator[tuple[str, str]]:
    """Requests wait at the proxy while the service is away: as long as a start may take, or they fail."""
    strategy, deadline = service.deployment_strategy, service.timing.healthy_deadline
    if service.type is ServiceType.WEB and isinstance(strategy, Recreate) and strategy.hold < deadline:
        yield (
            f"deployment_strategy.hold: Requests wait {words(strategy.hold)} at most, and {service.name} may take "
            f"{words(deadline)} to start: beyond the hold they fail, and are counted.",
            "Raise the hold, or lower timing.healthy_deadline.",
        )


def rolling_fits(service: ServiceSpecification) -> Iterator[tuple[str, str]]:
    """The pauses of all batches leave time to start them."""
    strategy, replicas = service.deployment_strategy, service.scaling.replicas
    if not isinstance(strategy, Rolling):
        return
    batches = -(-replicas // strategy.batch)
    if batches == 1:
        message = (
            f"deployment_strategy.batch: All {replicas} instances of {service.name} are one batch: it is blue-green."
        )
        yield message, "Lower the batch, raise scaling.replicas, or write `kind: blue_green`."
    pauses = strategy.pause * batches
    if pauses >= service.timing.progress_deadline:
        yield (
            f"deployment_strategy.pause: {batches} batches pause {words(pauses)} in all, "
            f"not less than timing.progress_deadline ({words(service.timing.progress_deadline)}).",
            "Shorten the pause, or raise the deadline.",
        )
