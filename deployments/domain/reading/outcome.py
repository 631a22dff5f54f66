"""What reading came to: a value that cannot be wrong, or everything that is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

from deployments.domain.environment import EnvironmentRecord
from deployments.domain.errors import InvalidSpecification
from deployments.domain.sanitising import SanitisedChange
from deployments.domain.spec.problems import Problem
from deployments.domain.spec.specification import DeploymentSpecification


@dataclass(frozen=True, slots=True)
class ReadOutcome:
    """`specification` is None exactly when there are problems. `changes` is what was taken out of its texts."""

    specification: DeploymentSpecification | None
    problems: tuple[Problem, ...] = ()
    changes: tuple[SanitisedChange, ...] = ()

    def require(self) -> DeploymentSpecification:
        """The specification. Raises InvalidSpecification with every problem."""
        if self.specification is None:
            raise invalid("specification", self.problems)
        return self.specification


@dataclass(frozen=True, slots=True)
class EnvironmentOutcome:
    """`record` is None exactly when there are problems. `changes` is what was taken out of its texts."""

    record: EnvironmentRecord | None
    problems: tuple[Problem, ...] = ()
    changes: tuple[SanitisedChange, ...] = ()

    def require(self) -> EnvironmentRecord:
        """The record. Raises InvalidSpecification with every problem."""
        if self.record is None:
            raise invalid("environment's record", self.problems)
        return self.record


def invalid(what: str, problems: tuple[Problem, ...]) -> InvalidSpecification:
    """The error that lists every problem, one a line."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    listed = "".join(f"\n  {problem}" for problem in problems)
    return InvalidSpecification(f"The {what} has {count}:{listed}", problems=problems)
