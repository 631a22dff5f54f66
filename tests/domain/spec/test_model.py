"""The words that fields are made of."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from deployments.domain.spec.model import LONGEST, Duration, PositiveDuration, format_duration
from deployments.domain.spec.specification import DeploymentSpecification
from tests.domain.specifications import service, specification

DURATION = TypeAdapter(Duration)
READ = {"500ms": 0.5, "30s": 30, "1m30s": 90, "2h": 7200, "1d": 86400, "1.5s": 1.5, " 5s ": 5, "PT5S": 5}
REFUSED = [
    "",
    "5",
    "s",
    "5 s",
    "1m 30s",
    "-5s",
    "5x",
    True,
    float("nan"),
    float("inf"),
    10**400,
    "9" * 400 + "s",
    "31d",
]


@pytest.mark.parametrize(("text", "seconds"), READ.items(), ids=READ)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert DURATION.validate_python(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("value", REFUSED, ids=[repr(value)[:20] for value in REFUSED])
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        DURATION.validate_python(value)


def test_a_pause_between_two_looks_is_not_zero() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(PositiveDuration).validate_python(0)


@given(st.integers(min_value=0, max_value=LONGEST // timedelta(milliseconds=1)))
def test_a_duration_reads_back_as_it_was_written(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert DURATION.validate_python(format_duration(duration)) == duration


def test_a_specification_reads_back_as_it_was_kept() -> None:
    asked = specification(
        service(source={"kind": "pypi", "requirement": "a==1", "with": ["b==2"]}, timing={"min_healthy": "1.5s"}),
        service("jobs", type="worker", deployment_strategy={"kind": "rolling", "pause": "2s"}),
    )
    assert DeploymentSpecification.model_validate(asked.model_dump(mode="json")) == asked
    assert DeploymentSpecification.model_validate_json(asked.model_dump_json()) == asked


def test_a_worker_is_asked_nothing_unless_it_says_so() -> None:
    asked = specification(
        service("jobs", type="worker"), service("db", type="worker", health_checks=[{}]), service("api")
    )
    assert [len(s.health_checks) for s in asked.services] == [0, 1, 1]


def test_a_service_is_found_by_name() -> None:
    asked = specification(service("a"), service("b"))
    assert asked.service("b") is asked.services[1]
    with pytest.raises(KeyError):
        asked.service("c")
