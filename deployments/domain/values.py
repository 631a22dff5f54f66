"""Results that validators, tests and scans return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Category(StrEnum):
    """What a finding is about."""

    HARDWARE = "hardware"
    SOFTWARE = "software"
    NETWORK = "network"
    SECURITY = "security"


class Verdict(StrEnum):
    """What a measurement says, from best to worst; each is different from the others."""

    GOOD = "good"
    UNCLEAR = "unclear"
    UNMEASURED = "unmeasured"
    BAD = "bad"


VERDICTS = tuple(Verdict)


def worst(*verdicts: Verdict) -> Verdict:
    """The worst of several verdicts; GOOD when there are none."""
    return max(verdicts, key=VERDICTS.index, default=Verdict.GOOD)


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """What one validator found. `is_complete` is False when it could not be judged, which never counts as passed."""

    is_valid: bool
    severity: Severity
    category: Category
    message: str
    validator: str
    timestamp: datetime
    details: Mapping[str, object] = field(default_factory=dict)
    recommendations: tuple[str, ...] = ()
    is_complete: bool = True

    @property
    def stops_the_deployment(self) -> bool:
        """A critical rule that is broken or could not be judged."""
        return self.severity is Severity.CRITICAL and not (self.is_valid and self.is_complete)


@dataclass(frozen=True, slots=True)
class TestResult:
    """What one check saw: `attempts` asked, `failures` of them bad."""

    __test__ = False

    name: str
    service: str
    verdict: Verdict
    attempts: int
    failures: int
    detail: str
    duration_ms: float


@dataclass(frozen=True, slots=True)
class SecurityFinding:
    """One weakness found by a scan or a rule."""

    severity: Severity
    rule: str
    location: str
    message: str
    recommendation: str
