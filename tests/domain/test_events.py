"""Events: what happened, never changed, each traceable."""

from __future__ import annotations

import dataclasses
from typing import get_args

import pytest

from deployments.domain.events import (
    DeploymentEvent,
    DeploymentEventKind,
    Event,
    ResourceEventKind,
    SecurityEventKind,
    Source,
)
from tests.domain.specifications import NOW

KINDS = [kind.value for kinds in (DeploymentEventKind, ResourceEventKind, SecurityEventKind) for kind in kinds]


@pytest.mark.parametrize("event", get_args(Event), ids=lambda event: event.__name__)
def test_every_event_names_its_correlation_source_and_moment(event: type[object]) -> None:
    names = {field.name for field in dataclasses.fields(event)}  # type: ignore[arg-type]  # a dataclass
    assert {"kind", "correlation_id", "source", "at", "environment", "deployment", "message", "data"} <= names


def test_a_kind_is_one_name_in_all_of_them() -> None:
    assert len(set(KINDS)) == len(KINDS)


def test_an_event_is_never_changed() -> None:
    event = DeploymentEvent(DeploymentEventKind.TAKEN_OVER, "d1", "production", "c1", Source.RECONCILER, NOW)
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.deployment = "d2"  # type: ignore[misc]  # that is the test
