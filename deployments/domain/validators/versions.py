"""A service does not go back to an older version unnoticed."""

from __future__ import annotations

from typing import ClassVar

from deployments.domain.facts import Facts
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.validators.validator import BaseValidator, Results
from deployments.domain.values import Category, Severity
from deployments.domain.versions import InvalidVersion, parse_version


class VersionsValidator(BaseValidator):
    """The grammar is a rule of the specification; the order against what runs is one of the facts."""

    name: ClassVar[str] = "versions"
    category: ClassVar[Category] = Category.SOFTWARE
    severity: ClassVar[Severity] = Severity.WARNING

    def validate(self, specification: DeploymentSpecification, facts: Facts) -> Results:
        """Judge every service that runs already."""
        found = []
        for index, service in enumerate(specification.services):
            stable = facts.stable.get(service.name)
            if stable is not None and is_older(service.version, stable.version):
                message = (
                    f"services[{index}].version: {service.name} goes back from {stable.version} to {service.version}."
                )
                found.append(self.bad(facts, message, "Make sure that this is meant.", service=service.name))
        return tuple(found) or self.ok(facts, "No service goes back to an older version.")


def is_older(version: str, than: str) -> bool:
    """Whether it is older for certain; versions of no grammar and of different ones are not compared."""
    try:
        return parse_version(version).is_older_than(parse_version(than)) is True
    except InvalidVersion:
        return False
