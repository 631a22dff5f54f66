"""What is named by a name or a number is named once."""

from __future__ import annotations

from collections.abc import Iterator

from deployments.domain.spec.problems import Finding, repeated
from deployments.domain.spec.specification import DeploymentSpecification


def service_names(specification: DeploymentSpecification) -> Iterator[Finding]:
    """Two services never share a name."""
    for index, first, name in repeated(service.name for service in specification.services):
        message = f"`{name}` is the name of services[{first}] already."
        yield Finding(("services", index, "name"), message, "Give each service a name of its own.")


def ports(specification: DeploymentSpecification) -> Iterator[Finding]:
    """Two services never ask for the same public port."""
    first: dict[int, str] = {}
    for index, service in enumerate(specification.services):
        if service.port is None:
            continue
        if service.port in first:
            message = f"Port {service.port} is asked for by `{first[service.port]}` already."
            remedy = "Give each service a port of its own, or leave it out: one is chosen and then kept."
            yield Finding(("services", index, "port"), message, remedy)
        first.setdefault(service.port, service.name)


def check_names(specification: DeploymentSpecification) -> Iterator[Finding]:
    """A service's checks have different names."""
    for index, service in enumerate(specification.services):
        for place, first, name in repeated(check.name for check in service.checks):
            message = f"`{name}` is the name of checks[{first}] already."
            yield Finding(("services", index, "checks", place, "name"), message, "Give each check a name of its own.")


def resource_names(specification: DeploymentSpecification) -> Iterator[Finding]:
    """Two resources never share a name."""
    for index, first, name in repeated(need.name for need in specification.resource_requirements):
        message = f"`{name}` is the name of resource_requirements[{first}] already."
        yield Finding(("resource_requirements", index, "name"), message, "Give each resource a name of its own.")
