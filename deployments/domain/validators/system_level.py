"""What a system-level deployment is asked beyond all others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from packaging.requirements import InvalidRequirement, Requirement

from deployments.domain.environment import Permission
from deployments.domain.facts import Facts
from deployments.domain.spec.service import SecurityLevel, ServiceSpecification
from deployments.domain.spec.source import ArchiveSource, GitSource, PathSource, PypiSource
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.validators.security_level import level_of
from deployments.domain.validators.validator import BaseValidator, Results
from deployments.domain.values import Category, ValidationResult

COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class SystemLevelValidator(BaseValidator):
    """A permission of its own, a verified principal, a recorded change, and sources that cannot change."""

    name: ClassVar[str] = "system_level"
    category: ClassVar[Category] = Category.SECURITY

    def validate(self, specification: DeploymentSpecification, facts: Facts) -> Results:
        """Judge deployments that touch the system level; others pass."""
        if level_of(specification, facts) is not SecurityLevel.SYSTEM:
            return self.ok(facts, "It is not a system-level deployment.")
        found = (*self._people(specification, facts), *self._sources(specification, facts))
        return tuple(found) or self.ok(facts, "It holds everything that the system level asks for.")

    def _people(self, specification: DeploymentSpecification, facts: Facts) -> Iterator[ValidationResult]:
        who, environment = facts.principal.name, specification.target_environment
        needed = Permission.DEPLOY_SYSTEM
        if facts.environment is None or not facts.environment.permits(who, needed):
            message = f"{who} may not deploy at the system level in {environment}."
            yield self.bad(facts, message, f"Add a grant with `{needed}` to the environment's record.", principal=who)
        if not facts.principal.is_verified:
            message = f"{who} is a name that a trigger stated."
            yield self.bad(facts, message, "Deploy from the command line, as the user who is granted it.")
        if not specification.metadata.commit:
            message = "metadata.commit: It is missing; a system-level change is traced to its commit."
            yield self.bad(facts, message, "Name the commit.")

    def _sources(self, specification: DeploymentSpecification, facts: Facts) -> Iterator[ValidationResult]:
        for index, service in enumerate(specification.services):
            if reason := why_loose(service, facts):
                message = f"services[{index}].source: {service.name}: {reason}"
                remedy = "Use an archive with its sha256, a full git commit, or `name==version`."
                yield self.bad(facts, message, remedy, service=service.name)


def why_loose(service: ServiceSpecification, facts: Facts) -> str:
    """Why the source could become another content; empty when it cannot."""
    match service.source:
        case ArchiveSource():
            return ""
        case PathSource():
            return "a directory can change at any time."
        case GitSource(ref=ref):
            return "" if COMMIT.fullmatch(ref) else f"{ref} is not a full commit."
        case PypiSource() as source:
            loose = [text for text in (source.requirement, *source.extra_requirements) if not is_pinned(text)]
            if loose:
                return f"{', '.join(loose)} does not name one exact version."
            lock = facts.locks.get(service.name)
            has_hashes = lock is not None and bool(lock.entries) and all("sha256:" in entry for entry in lock.entries)
            return "" if has_hashes else "not everything it was resolved to has a hash."


def is_pinned(text: str) -> bool:
    """Whether a requirement names one exact version."""
    try:
        clauses = list(Requirement(text).specifier)
    except InvalidRequirement:
        return False
    return len(clauses) == 1 and clauses[0].operator in ("==", "===") and not clauses[0].version.endswith(".*")
