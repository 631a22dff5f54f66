"""Public ports that are asked for can be had."""

from __future__ import annotations

from typing import ClassVar

from deployments.domain.facts import Facts
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.validators.validator import BaseValidator, Results
from deployments.domain.values import Category, Severity

FIRST_UNPRIVILEGED = 1024


class PortsValidator(BaseValidator):
    """Nobody else listens there, and no other service of the environment has it."""

    name: ClassVar[str] = "ports"
    category: ClassVar[Category] = Category.NETWORK

    def validate(self, specification: DeploymentSpecification, facts: Facts) -> Results:
        """Judge every port that is given."""
        owners, found = {port: service for service, port in facts.routes.items()}, []
        remedy = "Choose another port, or leave it out: one is chosen and then kept."
        for index, service in enumerate(specification.services):
            port = service.port
            if port is None or facts.routes.get(service.name) == port:
                continue
            path = f"services[{index}].port"
            if port in owners:
                message = f"{path}: {port} is the port of {owners[port]} in this environment."
                found.append(self.bad(facts, message, remedy, port=port, service=service.name))
            elif port in facts.ports_taken:
                message = f"{path}: {port} is taken: something else listens on it."
                found.append(self.bad(facts, message, remedy, port=port, service=service.name))
            elif port < FIRST_UNPRIVILEGED:
                message = f"{path}: {port} is a privileged port: without the right to listen there it cannot be opened."
                found.append(self.bad(facts, message, remedy, severity=Severity.WARNING, port=port))
        return tuple(found) or self.ok(facts, "Every port that is asked for is free.")
