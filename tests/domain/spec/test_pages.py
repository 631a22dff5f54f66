"""Schema and reference are made from the models, and leave nothing out."""

from __future__ import annotations

import json

import pytest
from pydantic import BaseModel

from deployments.domain.environment import EnvironmentRecord
from deployments.domain.spec.reference import parts_of, render_reference
from deployments.domain.spec.schema import schema_of, specification_schema
from deployments.domain.spec.specification import DeploymentSpecification

PARTS = list(dict.fromkeys([*parts_of(DeploymentSpecification), *parts_of(EnvironmentRecord)]))


@pytest.mark.parametrize("part", PARTS, ids=[part.__name__ for part in PARTS])
def test_every_field_says_what_it_means(part: type[BaseModel]) -> None:
    assert part.__doc__
    assert [name for name, field in part.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("part", PARTS, ids=[part.__name__ for part in PARTS])
def test_the_reference_names_every_field(part: type[BaseModel]) -> None:
    page = render_reference(EnvironmentRecord)
    section = page.split(f"\n## {part.__name__}\n")[1].split("\n## ")[0]
    for name, field in part.model_fields.items():
        assert f"| `{field.alias or name}` |" in section


def test_the_reference_is_the_same_each_time_and_names_no_types_of_the_language() -> None:
    page = render_reference(EnvironmentRecord)
    assert page == render_reference(EnvironmentRecord)
    assert "<class" not in page
    assert "typing." not in page
    assert "datetime" not in page


def test_the_schema_shows_durations_as_people_write_them() -> None:
    text = json.dumps(specification_schema())
    assert '"default": "10m"' in text
    assert '"PT' not in text


def test_the_schema_asks_for_the_kind_of_a_source() -> None:
    parts = schema_of(DeploymentSpecification)["$defs"]
    assert isinstance(parts, dict)
    for name in ("PypiSource", "Rolling", "HttpProbe"):
        part = parts[name]
        assert isinstance(part, dict)
        assert isinstance(part["required"], list)
        assert part["required"][0] == "kind"
