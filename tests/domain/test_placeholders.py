"""Placeholders: only exact tokens of known words are filled, everything else stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.domain.errors import Refused
from deployments.domain.placeholders import fill, used_in

VALUES = {"port": "80", "bin": "/bin", "route.a-b": "http://127.0.0.1:9", "value.NAME": "{port}", "resource.data": "/d"}

FILLED = {
    "a word": ("--port={port}", "--port=80"),
    "a name with a hyphen": ("{route.a-b}/x", "http://127.0.0.1:9/x"),
    "several": ("{bin}/x {resource.data}", "/bin/x /d"),
    "a value is not looked at again": ("{value.NAME}", "{port}"),
    "within JSON": ('{"port":{port}}', '{"port":80}'),
    "before a brace": ("{port}}", "80}"),
}
STAYS = {
    "escaped": ("{{port}}", "{port}"),
    "of a shell": ("${port}", "${port}"),
    "JSON": ('{"port": 1, "a": {"b": {}}}', '{"port": 1, "a": {"b": {}}}'),
    "with spaces": ("{ port }", "{ port }"),
    "an unknown word": ("{message}", "{message}"),
    "a family without a name": ("{route}", "{route}"),
    "a word with a name": ("{port.x}", "{port.x}"),
    "in capitals": ("{PORT}", "{PORT}"),
    "a template": ("{{ port }} {% if x %}", "{{ port }} {% if x %}"),
}


@pytest.mark.parametrize(("template", "filled"), FILLED.values(), ids=FILLED)
def test_a_placeholder_is_filled(template: str, filled: str) -> None:
    assert fill(template, VALUES) == filled


@pytest.mark.parametrize(("template", "filled"), STAYS.values(), ids=STAYS)
def test_what_is_no_placeholder_stays(template: str, filled: str) -> None:
    assert fill(template, VALUES) == filled
    assert used_in(template) == ()


def test_a_placeholder_without_a_value_is_refused_by_name() -> None:
    with pytest.raises(Refused, match=r"\{route\.nope\}.*Known here: .*port"):
        fill("x {route.nope}", VALUES)


def test_used_placeholders_are_named_once_in_order() -> None:
    assert [str(p) for p in used_in("{value.A} {port} {value.A} {{bin}}")] == ["{value.A}", "{port}"]


@given(st.text(alphabet="{}$portroute.a \n"))
def test_filling_any_text_needs_exactly_what_used_in_says(template: str) -> None:
    values = {placeholder.key: "V" for placeholder in used_in(template)}
    fill(template, values)
    for missing in values:
        with pytest.raises(Refused):
            fill(template, {key: value for key, value in values.items() if key != missing})
