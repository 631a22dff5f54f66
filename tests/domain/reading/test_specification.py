"""Reading a specification: every problem at once, each with file, line, field and remedy."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.domain.errors import InvalidSpecification
from deployments.domain.reading.specification import parse_specification, read_specification
from deployments.domain.sanitising import SanitisedChange
from deployments.domain.spec.problems import Problem
from tests.domain.specifications import service, specification, written

GOOD = """\
project: shop
target_environment: production
services:
  - name: api
    version: "1.10"
    source:
      kind: pypi
      requirement: datasette==0.65.1
    run_command: [datasette, --port, "{port}"]
    health_checks:
      - probe: {kind: http, path: /health}
"""


def problem_in(text: str) -> Problem:
    """The only problem of a text."""
    outcome = read_specification(text, file="shop.yaml")
    assert outcome.specification is None
    [problem] = outcome.problems
    assert problem.file == "shop.yaml"
    return problem


def test_a_good_file_becomes_a_specification() -> None:
    outcome = read_specification(GOOD, file="shop.yaml")
    assert outcome.problems == ()
    assert outcome.changes == ()
    assert outcome.require().services[0].version == "1.10"


def test_json_is_read_too_with_lines() -> None:
    text = json.dumps(written(service(prot=1)), indent="\t")
    problem = problem_in(text)
    assert (problem.field, problem.line) == ("services[0].prot", 17)


REPLACED: dict[str, tuple[str, str, int, str, str, str]] = {
    "an unknown field": ("project: shop", "project: shop\nnmae: x", 2, "nmae", "no such field", "`name`"),
    "another tool's word": (
        "    version:",
        "    env: {}\n    version:",
        5,
        "services[0].env",
        "",
        "environment_variables",
    ),
    "a field of a part": (
        "    version:",
        "    replicas: 2\n    version:",
        5,
        "services[0].replicas",
        "",
        "scaling.replicas",
    ),
    "a number for a text": ('"1.10"', "1.10", 5, "services[0].version", "must be text", 'Write it in quotes: "1.10"'),
    "a placeholder without quotes": (
        '"{port}"',
        "{port}",
        9,
        "services[0].run_command[2]",
        "must be text, not a mapping",
        'Write it in quotes: "{port}"',
    ),
    "no kind": ("      kind: pypi\n", "", 6, "services[0].source", "does not say its `kind`", "`kind: pypi`"),
    "an unknown kind": ("kind: pypi", "kind: pipy", 6, "services[0].source", "`pipy`", "Did you mean `pypi`?"),
    "a field of the right kind": (
        "requirement:",
        "requirment:",
        8,
        "services[0].source.requirment",
        "no such field",
        "`requirement`",
    ),
    "a path of the wrong form": (
        "/health}",
        "health}",
        11,
        "services[0].health_checks[0].probe.path",
        "`health`",
        "begins with /",
    ),
    "a word for a list": (
        '[datasette, --port, "{port}"]',
        "datasette",
        9,
        "services[0].run_command",
        'not the text "datasette"',
        "- entry",
    ),
    "an unknown word": (
        "    version:",
        "    framework: Pyton\n    version:",
        5,
        "services[0].framework",
        "`Pyton`",
        "Did you mean `python`?",
    ),
    "too small": (
        "    version:",
        "    scaling: {replicas: 0}\n    version:",
        5,
        "services[0].scaling.replicas",
        "at least 1",
        "",
    ),
    "true for a number": (
        "    version:",
        "    port: true\n    version:",
        5,
        "services[0].port",
        "whole number, not `true`",
        "",
    ),
    "a text for a number": ("    version:", '    port: "80"\n    version:', 5, "services[0].port", 'the text "80"', ""),
    "no duration": (
        "    version:",
        "    timing: {min_healthy: soon}\n    version:",
        5,
        "services[0].timing.min_healthy",
        "must be a duration",
        "1m30s",
    ),
    "too long a duration": (
        "    version:",
        "    timing: {progress_deadline: 99d}\n    version:",
        5,
        "services[0].timing.progress_deadline",
        "at most 30d",
        "",
    ),
    "a list for a mapping": (
        "project: shop",
        "project: shop\nmetadata: [a]",
        2,
        "metadata",
        "a mapping, not a list",
        "name: value",
    ),
    "a merge key": ("project: shop", "project: shop\n<<: {a: b}", 2, '["<<"]', "Merge keys", ""),
    "nothing where something is needed": ("project: shop", "project:", 1, "project", "must be text, not nothing", ""),
    "a rule between fields": (
        "    version:",
        "    dependencies: [db]\n    version:",
        5,
        "services[0].dependencies[0]",
        "There is no service `db`",
        "`api`",
    ),
    "the wrong type of YAML": ("project: shop", "project: [shop", 2, "", "not valid YAML", "Check"),
    "a field twice": ("project: shop", "project: shop\nproject: shop", 2, "project", "first on line 1", "Keep one"),
}


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "message", "remedy"),
    [pytest.param(*case, id=name) for name, case in REPLACED.items()],
)
def test_a_problem_has_line_field_words_and_remedy(
    old: str, new: str, line: int, field: str, message: str, remedy: str
) -> None:
    assert old in GOOD
    found = [p for p in read_specification(GOOD.replace(old, new), file="f").problems if p.field == field]
    assert [problem.line for problem in found] == [line]
    assert message in found[0].message
    assert remedy in found[0].remedy


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "empty"), ("- a\n", "a list, not a mapping"), ("hello", "text, not a mapping"), ("12", "a number")],
    ids=["empty", "a list", "text", "a number"],
)
def test_what_is_no_mapping_is_refused(text: str, words: str) -> None:
    assert words in problem_in(text).message


def test_a_missing_field_is_told_on_the_line_of_the_part_it_is_missing_from() -> None:
    outcome = read_specification(GOOD.replace('    version: "1.10"\n', ""), file="f")
    assert [(p.field, p.line) for p in outcome.problems] == [("services[0].version", 4)]


def test_every_problem_is_told_at_once_with_those_between_fields() -> None:
    text = (
        GOOD.replace("shop\n", "Shop\n", 1)
        .replace('version: "1.10"', "version: 1.10")
        .replace("--port", "'{route.web}'")
        + """\
    dependencies: [web]
    port: 8000
  - name: web
    version: latest
    source: {kind: path, path: ../web}
    dependencies: [api]
    run_command: [x]
    port: 8000
    scaling: {replica: 2}
"""
    )
    found = [(p.line, p.field) for p in read_specification(text, file="f").problems]
    assert found == [
        (1, "project"),
        (5, "services[0].version"),
        (12, "services[0].dependencies"),
        (15, "services[1].version"),
        (16, "services[1].source.path"),
        (19, "services[1].port"),
        (20, "services[1].scaling.replica"),
    ]


def test_a_service_that_cannot_be_read_is_named_by_its_place() -> None:
    text = (
        GOOD + "  - version: '1'\n    source: {kind: path, path: x}\n    run_command: [x]\n    dependencies: [nope]\n"
    )
    found = {p.field: p for p in read_specification(text, file="f").problems}
    assert set(found) == {"services[1].name", "services[1].dependencies[0]"}
    assert "services[1]" in found["services[1].dependencies[0]"].remedy


def test_services_that_are_no_mappings_are_told_each() -> None:
    text = GOOD + "  - hello\n  - 12\n"
    assert [p.field for p in read_specification(text, file="f").problems] == ["services[1]", "services[2]"]


def test_no_services_at_all() -> None:
    assert problem_in("project: a\ntarget_environment: b\nservices: []\n").field == "services"
    assert problem_in("project: a\ntarget_environment: b\n").field == "services"


def test_more_problems_than_can_be_read_are_counted() -> None:
    text = GOOD + "".join(f"unknown{n}: 1\n" for n in range(1500))
    problems = read_specification(text, file="f").problems
    assert len(problems) == 101
    assert problems[-1].message == "There are 1400 more problems."


def test_a_hostile_name_of_a_field_is_quoted_harmlessly() -> None:
    problem = problem_in(GOOD + '"\\e[31m\\u202e": 1\n')
    assert str(problem).isprintable()


def test_all_problems_are_in_the_error() -> None:
    with pytest.raises(InvalidSpecification, match=r"2 problems:\n  f:12: a: .*\n  f:13: b: "):
        read_specification(GOOD + "a: 1\nb: 2\n", file="f").require()


def test_texts_are_cleaned_by_what_they_are_for_and_the_changes_recorded() -> None:
    outcome = parse_specification(
        written(
            service(
                environment_variables={"PAGE": "<b>\n", "files": "a\x00b"},
                configuration={"files": {"page.html": "<b>\tx\x1b[0m</b>\r\n"}},
            ),
            description="Hello <script>x</script>\nagain",
            created_by="Ann\x1b[31m <ann@example.org>",
        )
    )
    read = outcome.require()
    assert read.description == "Hello x\nagain"
    assert read.created_by == "Ann <ann@example.org>"
    assert read.services[0].environment_variables == {"PAGE": "<b>\n", "files": "ab"}
    assert read.services[0].configuration.files == {"page.html": "<b>\tx</b>\r\n"}
    assert set(outcome.changes) == {
        SanitisedChange("description", "markup"),
        SanitisedChange("created_by", "terminal escape sequences"),
        SanitisedChange("services[0].environment_variables.files", "control characters"),
        SanitisedChange('services[0].configuration.files["page.html"]', "terminal escape sequences"),
    }


LONG: dict[str, dict[str, Any]] = {
    "a description": written(description="x" * 2001),
    "an argument": written(service(run_command=["x" * 8001])),
    "a variable": written(service(environment_variables={"A": "x" * 32_001})),
    "a file": written(service(configuration={"files": {"a": "x" * 1_000_001}})),
    "a version": written(service(version="1" * 201)),
}


@pytest.mark.parametrize("asked", LONG.values(), ids=LONG)
def test_a_text_that_is_too_long_is_refused(asked: dict[str, Any]) -> None:
    [problem] = parse_specification(asked).problems
    assert "characters, at most" in problem.message


BAD_NAMES = ("../x", "/x", "a/../b", "a//b", ".ssh/x", "a\x00b/..", "a b", "-x", "a/", "")


@pytest.mark.parametrize("name", BAD_NAMES, ids=repr)
def test_a_file_never_leaves_its_directory(name: str) -> None:
    outcome = parse_specification(written(service(configuration={"files": {name: "x"}})))
    assert [p.field.startswith("services[0].configuration.files") for p in outcome.problems] == [True]


def test_parameters_are_judged_by_the_same_rules_without_lines() -> None:
    asked = written(service(dependencies=["db"], prot=8000))
    problems = parse_specification(asked).problems
    assert {(p.field, p.line, p.file) for p in problems} == {
        ("services[0].dependencies[0]", None, None),
        ("services[0].prot", None, None),
    }


def test_a_specification_that_was_made_in_the_program_is_judged_too() -> None:
    assert parse_specification(specification()).problems == ()
    assert [p.field for p in parse_specification(specification(service(port=1), service("b", port=1))).problems] == [
        "services[1].port"
    ]


def test_parameters_with_keys_that_are_no_text_are_refused() -> None:
    asked: Any = written(service(environment_variables={1: "x"}))
    assert ["not text" in p.message for p in parse_specification(asked).problems] == [True]


def test_parameters_that_contain_themselves_are_refused() -> None:
    asked = written()
    asked["metadata"] = asked
    assert any("nested too deep" in p.message for p in parse_specification(asked).problems)


WORDS = st.sampled_from(
    [
        "project",
        "services",
        "name",
        "api",
        "version",
        "source",
        "kind",
        "path",
        "dependencies",
        "port",
        "x\x1b",
        "é",
        "",
    ]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=15,
)
PLACES = (
    (),
    ("services",),
    ("services", 0),
    ("services", 0, "source"),
    ("services", 0, "health_checks"),
    ("services", 0, "dependencies"),
    ("services", 0, "configuration"),
    ("services", 0, "timing"),
    ("configuration_overrides",),
    ("resource_requirements",),
    ("activation_order",),
)


@given(st.sampled_from(PLACES), st.sampled_from([None, "name", "probe", "kind", "files"]), ANYTHING)
def test_any_parameters_become_a_specification_or_problems(place: tuple[Any, ...], key: str | None, value: Any) -> None:
    asked: Any = written(service(), service("web"))
    around: Any = asked
    for step in place:
        around = around.setdefault(step, {}) if isinstance(around, dict) else around[step]
    if isinstance(around, dict):
        around[key or "services"] = value
    else:
        around.append(value)
    outcome = parse_specification(asked)
    assert (outcome.specification is None) == bool(outcome.problems)
    for problem in outcome.problems:
        assert str(problem).isprintable()
    if outcome.specification:
        assert parse_specification(outcome.specification).specification == outcome.specification


@given(st.integers(min_value=0, max_value=len(GOOD)), st.text(max_size=6), st.integers(min_value=0, max_value=9))
def test_any_damage_to_a_file_is_read_or_told(at: int, inserted: str, removed: int) -> None:
    outcome = read_specification(GOOD[:at] + inserted + GOOD[at + removed :], file="f")
    assert (outcome.specification is None) == bool(outcome.problems)
    assert all(p.file == "f" and str(p).isprintable() for p in outcome.problems)


HIDDEN: dict[str, dict[str, Any]] = {
    "a value": service(configuration={"values": {"A": 1}}, run_command=["{value.A}"]),
    "the dependencies": service(dependencies=["web", 1], run_command=["{route.web}"]),
    "the command": service(run_command=[1]),
    "the timing": service(timing={"min_healthy": "9m", "healthy_deadline": []}),
    "the source": service(source={"kind": "pypi", "requirement": 1}, framework="static"),
    "a check": service(checks=[{"name": "a", "probe": {"kind": "tcp"}}, {"name": "a", "probe": {}}]),
}


@pytest.mark.parametrize("asked", HIDDEN.values(), ids=HIDDEN)
def test_nothing_is_told_that_only_follows_from_what_cannot_be_read(asked: dict[str, Any]) -> None:
    assert len(parse_specification(written(asked, service("web"))).problems) == 1


def test_a_resource_that_cannot_be_read_is_not_missed() -> None:
    asked = written(service(run_command=["{resource.data}"]), resource_requirements=[{"name": "data", "kind": "disk"}])
    assert [p.field for p in parse_specification(asked).problems] == ["resource_requirements[0].kind"]


@pytest.mark.parametrize("services", ["hello", None, {"a": {}}, [[]], 12], ids=repr)
def test_services_of_another_kind_are_told_once(services: object) -> None:
    assert len(parse_specification({**written(), "services": services}).problems) == 1
