"""How often an effect is repeated, by the family of its error. Only what did not answer is asked again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from deployments.domain.errors import (
    Broken,
    Conflict,
    DatabaseUnavailable,
    DeploymentError,
    ProxyUnavailable,
    Refused,
    SourceUnavailable,
    SupervisorUnavailable,
    Unavailable,
)


@dataclass(frozen=True, slots=True)
class RetryRule:
    """`delays` between attempts; as many repetitions as delays."""

    delays: tuple[timedelta, ...] = ()

    @property
    def attempts(self) -> int:
        """How often it is tried in all."""
        return len(self.delays) + 1

    @property
    def allows_retry(self) -> bool:
        """Whether it is tried more than once."""
        return bool(self.delays)


def _seconds(*delays: float) -> RetryRule:
    return RetryRule(tuple(timedelta(seconds=delay) for delay in delays))


NEVER = RetryRule()
RULES: dict[type[BaseException], RetryRule] = {
    DatabaseUnavailable: _seconds(0.2, 0.5, 1, 2, 4, 8),
    ProxyUnavailable: _seconds(0.1, 0.2, 0.5, 1, 2),
    SupervisorUnavailable: _seconds(0.1, 0.2, 0.5, 1, 2),
    SourceUnavailable: _seconds(1, 3, 10),
    Unavailable: _seconds(0.5, 1, 2),
    Refused: NEVER,
    Conflict: NEVER,
    Broken: NEVER,
    DeploymentError: NEVER,
}
"""The nearest class counts. A conflict is looked at again by whoever can, never repeated blindly."""


def rule_for(error: BaseException) -> RetryRule:
    """The rule of the error's class or of its nearest ancestor; an error nobody foresaw is not repeated."""
    return next((RULES[kind] for kind in type(error).__mro__ if kind in RULES), NEVER)
