"""What a policy is, and what it decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from deployments.domain.facts import Facts
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.values import ValidationResult


class Decision(StrEnum):
    """What may be done, from most to least."""

    ALLOWED = "allowed"
    NEEDS_APPROVAL = "needs_approval"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class PolicyDecision:
    """What one policy decides, and why."""

    decision: Decision
    policy: str
    message: str
    remedy: str = ""


class Policy(Protocol):
    """Decides by one consideration. Pure: the same input gives the same decision."""

    @property
    def name(self) -> str:
        """Named in its decisions."""

    def decide(
        self,
        specification: DeploymentSpecification,
        facts: Facts,
        results: Sequence[ValidationResult],
        risk: int,
    ) -> PolicyDecision:
        """`results` are the validators', `risk` is the plan's score, 0 to 100."""
