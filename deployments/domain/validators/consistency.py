"""Configuration agrees across services, and what is shared can be shared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from deployments.domain.facts import Facts
from deployments.domain.placeholders import used_in
from deployments.domain.revisions import configuration_of
from deployments.domain.spec.service import ServiceSpecification
from deployments.domain.spec.specification import DeploymentSpecification, ResourceKind, ResourceRequirement
from deployments.domain.spec.strategy import Recreate
from deployments.domain.validators.validator import BaseValidator, Results
from deployments.domain.values import Category, Severity

SHOWN = 5


class ConsistencyValidator(BaseValidator):
    """Values of one name are the same everywhere; a resource is used by those who can share it."""

    name: ClassVar[str] = "consistent_configuration"
    category: ClassVar[Category] = Category.SOFTWARE
    severity: ClassVar[Severity] = Severity.WARNING

    def validate(self, specification: DeploymentSpecification, facts: Facts) -> Results:
        """Judge values and resources."""
        found = [self.bad(facts, *words) for words in (*conflicting_values(specification), *shared(specification))]
        return tuple(found) or self.ok(facts, "Configuration agrees across services.")


def conflicting_values(specification: DeploymentSpecification) -> Iterator[tuple[str, str]]:
    """Values that have one name and several contents."""
    by_name: dict[str, dict[str, list[str]]] = {}
    for service in specification.services:
        for name, value in configuration_of(specification, service).values.items():
            by_name.setdefault(name, {}).setdefault(value, []).append(service.name)
    for name, contents in by_name.items():
        if len(contents) > 1:
            groups = " and ".join(_names(services) for services in list(contents.values())[:SHOWN])
            yield (
                f"The value {name} differs between services: {groups} disagree.",
                "Give it one content, or two names.",
            )


def shared(specification: DeploymentSpecification) -> Iterator[tuple[str, str]]:
    """Ports that several processes would listen on, and resources that are removed under a service."""
    if not specification.resource_requirements:
        return
    users: dict[str, list[ServiceSpecification]] = {}
    for service in specification.services:
        for name in resources_of(specification, service):
            users.setdefault(name, []).append(service)
    for need in specification.resource_requirements:
        yield from judge_resource(need, users.get(need.name, []))


def judge_resource(need: ResourceRequirement, users: list[ServiceSpecification]) -> Iterator[tuple[str, str]]:
    """One resource and the services that name it."""
    names = _names([service.name for service in users])
    if users and need.temporary:
        message = f"The resource {need.name} is removed when the deployment completes, while {names} may still use it."
        yield message, "Leave `temporary` out."
    if need.kind is not ResourceKind.PORT:
        return
    if len(users) > 1:
        yield f"The port {need.name} is named by {names}: only one of them can listen.", "Ask for a port each."
    for service in users:
        if service.scaling.replicas > 1 or not isinstance(service.deployment_strategy, Recreate):
            yield (
                f"The port {need.name} would be used by several instances of {service.name} at once.",
                "Use the recreate strategy with one replica, or `{port}`, which every instance has for itself.",
            )


def resources_of(specification: DeploymentSpecification, service: ServiceSpecification) -> set[str]:
    """Names of the resources that a service's command, variables and files name."""
    texts = (
        *service.run_command,
        *service.environment_variables.values(),
        *configuration_of(specification, service).files.values(),
    )
    return {used.name for text in texts for used in used_in(text) if used.word == "resource" and used.name}


def _names(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
