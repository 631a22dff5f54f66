"""Retries: only what did not answer is asked again."""

from __future__ import annotations

import pytest

from deployments.domain.errors import (
    BuildFailed,
    Conflict,
    DatabaseUnavailable,
    LeaseLost,
    Refused,
    SecurityError,
    SourceUnavailable,
    Unavailable,
)
from deployments.domain.retries import RULES, rule_for


class NewlyUnavailable(Unavailable):
    """One that has no row of its own."""


@pytest.mark.parametrize("error", [DatabaseUnavailable(), SourceUnavailable(), NewlyUnavailable()], ids=repr)
def test_what_did_not_answer_is_asked_again(error: Exception) -> None:
    rule = rule_for(error)
    assert rule.allows_retry
    assert rule.attempts == len(rule.delays) + 1


@pytest.mark.parametrize(
    "error",
    [Refused(), SecurityError(), Conflict(), LeaseLost(), BuildFailed(), ValueError("unforeseen"), KeyboardInterrupt()],
    ids=repr,
)
def test_nothing_else_is_repeated(error: BaseException) -> None:
    assert rule_for(error).attempts == 1


def test_a_class_without_a_row_follows_its_family() -> None:
    assert rule_for(NewlyUnavailable()) == RULES[Unavailable]
