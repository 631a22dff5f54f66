"""Words in braces that look like placeholders and are none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from deployments.domain.facts import Facts
from deployments.domain.placeholders import FAMILIES, WORDS, used_in
from deployments.domain.spec.problems import nearest
from deployments.domain.spec.service import ServiceSpecification
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.validators.validator import BaseValidator, Results
from deployments.domain.values import Category, Severity

IN_BRACES = re.compile(r"(?<![${])\{([A-Za-z_]{2,20})(\.[A-Za-z0-9_-]{1,100})?\}(?!\})")


class PlaceholdersValidator(BaseValidator):
    """A misspelt placeholder would reach the program as it is."""

    name: ClassVar[str] = "placeholders"
    category: ClassVar[Category] = Category.SOFTWARE
    severity: ClassVar[Severity] = Severity.WARNING

    def validate(self, specification: DeploymentSpecification, facts: Facts) -> Results:
        """Judge commands and variables; files hold braces of their own."""
        found = tuple(
            self.bad(facts, f"services[{index}].{message}", remedy, service=service.name)
            for index, service in enumerate(specification.services)
            for message, remedy in (*lookalikes(service), *unfilled(service))
        )
        return found or self.ok(facts, "Every word in braces is what it looks like.")


def lookalikes(service: ServiceSpecification) -> Iterator[tuple[str, str]]:
    """`{prot}`, `{routes.api}`, `{route}`."""
    texts = [(f"run_command[{place}]", word) for place, word in enumerate(service.run_command)]
    texts += [(f"environment_variables.{name}", text) for name, text in service.environment_variables.items()]
    for path, text in texts:
        for word, name in IN_BRACES.findall(text) if "{" in text else ():
            known = FAMILIES if name else WORDS
            if word in known:
                continue
            meant = word if word in FAMILIES or word in WORDS else nearest(word, known)
            if meant:
                example = f"{{{meant}.NAME}}" if meant in FAMILIES else f"{{{meant}}}"
                yield f"{path}: {{{word}{name}}} is no placeholder and stays as it is.", f"Did you mean {example}?"


def unfilled(service: ServiceSpecification) -> Iterator[tuple[str, str]]:
    """Builds know no instance: nothing is filled in there."""
    for field, command in (("install_command", service.install_command), ("build_command", service.build_command)):
        for place, word in enumerate(command):
            for placeholder in used_in(word):
                yield f"{field}[{place}]: {placeholder} is not filled in: builds know no instance.", "Leave it out."
