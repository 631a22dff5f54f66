"""What a validator is, and the frame that most are made of."""

from __future__ import annotations

from typing import ClassVar, Protocol

from deployments.domain.environment import EnvironmentRecord
from deployments.domain.facts import Facts
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.values import Category, Severity, ValidationResult

Results = tuple[ValidationResult, ...]


class DeploymentValidator(Protocol):
    """Judges one rule. `name` is in its results; they are all about `category`."""

    @property
    def name(self) -> str:
        """Of the rule."""

    @property
    def category(self) -> Category:
        """What the rule is about."""

    def validate(self, specification: DeploymentSpecification, facts: Facts) -> Results:
        """One result when the rule holds or cannot be judged, one for each way it is broken otherwise. Never raises."""


class BaseValidator:
    """Names results and dates them with the facts. What holds says so; what cannot be judged did not hold."""

    name: ClassVar[str]
    category: ClassVar[Category]
    severity: ClassVar[Severity] = Severity.CRITICAL
    """Of results that say the rule is broken, unless they say otherwise."""

    def ok(self, facts: Facts, message: str, **details: object) -> Results:
        """The rule holds."""
        return (self._result(facts, message, is_valid=True, severity=Severity.INFO, details=details),)

    def bad(
        self, facts: Facts, message: str, remedy: str = "", *, severity: Severity | None = None, **details: object
    ) -> ValidationResult:
        """The rule is broken."""
        return self._result(
            facts, message, is_valid=False, severity=severity or self.severity, details=details, remedy=remedy
        )

    def incomplete(
        self, facts: Facts, message: str, remedy: str, *, severity: Severity | None = None, **details: object
    ) -> ValidationResult:
        """The rule could not be judged."""
        return self._result(
            facts,
            message,
            is_valid=False,
            severity=severity or self.severity,
            details=details,
            remedy=remedy,
            is_complete=False,
        )

    def _result(
        self,
        facts: Facts,
        message: str,
        *,
        is_valid: bool,
        severity: Severity,
        details: dict[str, object],
        remedy: str = "",
        is_complete: bool = True,
    ) -> ValidationResult:
        return ValidationResult(
            is_valid=is_valid,
            severity=severity,
            category=self.category,
            message=message,
            validator=self.name,
            timestamp=facts.now,
            details=details,
            recommendations=(remedy,) if remedy else (),
            is_complete=is_complete,
        )


def environment_of(specification: DeploymentSpecification, facts: Facts) -> EnvironmentRecord:
    """The environment's record; the defaults of one that is new."""
    if facts.environment is not None:
        return facts.environment
    return EnvironmentRecord(name=specification.target_environment, project=specification.project)
