"""`validate` and `schema`: everything that is wrong at once, and nothing touched."""

from __future__ import annotations

import pytest

from tests.cli.commands import Commands
from tests.cli.specifications import service, specification, write

BAD = """\
project: shop
target_environment: staging
services:
  - name: web
    version: 1.0
    framework: statick
    source: {kind: path, path: site}
    dependencies: [api]
    nme: x
"""


def test_a_good_file_is_valid_and_said_in_a_line(commands: Commands) -> None:
    name = write(commands.directory, "shop.json", specification())

    answer = commands.run("validate", name)

    assert (answer.code, answer.out) == (0, "shop.json: valid: shop to staging: web 1.0\n"), answer.all
    assert not commands.home.exists()


def test_every_problem_comes_with_file_line_field_and_remedy(commands: Commands) -> None:
    (commands.directory / "shop.yaml").write_text(BAD)

    answer = commands.run("validate", "shop.yaml")

    assert answer.code == 2
    for line, field, remedy in (
        (5, "services[0].version", 'Write it in quotes: "1.0".'),
        (6, "services[0].framework", "Did you mean `static`?"),
        (8, "services[0].dependencies[0]", "Services here: `web`."),
        (9, "services[0].nme", "Did you mean `name`?"),
    ):
        assert any(
            told.startswith(f"shop.yaml:{line}: {field}: ") and remedy in told for told in answer.out.splitlines()
        ), answer.all
    assert "nothing was touched" in answer.err
    assert not commands.home.exists()


def test_machines_read_the_same_as_json(commands: Commands) -> None:
    (commands.directory / "shop.yaml").write_text(BAD)

    found = commands.run("validate", "--json", "shop.yaml").document

    assert found["is_valid"] is False
    assert {"field": "services[0].version", "line": 5}.items() <= found["problems"][1].items()


def test_deploy_refuses_the_same_file_before_anything_is_started(commands: Commands) -> None:
    (commands.directory / "shop.yaml").write_text(BAD)

    answer = commands.run("deploy", "shop.yaml")

    assert answer.code == 2
    assert "shop.yaml:6: services[0].framework" in answer.err
    assert not commands.home.exists()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("missing.yaml", None, "There is no file missing.yaml"),
        (".", None, ". is a directory"),
        ("empty.yaml", b"", "empty"),
        ("latin.yaml", b"project: shop\ndescription: caf\xe9\n", "latin.yaml:2: it is not UTF-8"),
        ("tabs.yaml", b"project:\n\t- shop\n", "tabs.yaml:2"),
        ("list.yaml", b"- a\n- b\n", "a list"),
    ],
    ids=["missing", "directory", "empty", "latin-1", "tabs", "list"],
)
def test_a_file_that_cannot_be_read_is_refused_by_name(
    commands: Commands, name: str, content: bytes | None, told: str
) -> None:
    if content is not None:
        (commands.directory / name).write_bytes(content)

    answer = commands.run("validate", name)

    assert answer.code == 2, answer.all
    assert told in answer.out + answer.err
    assert "Traceback" not in answer.err


def test_standard_input_is_read(commands: Commands) -> None:
    answer = commands.run("validate", "-", stdin="project: shop\n")

    assert answer.code == 2
    assert "target_environment: It is missing" in answer.out


def test_what_is_taken_out_of_a_text_is_told(commands: Commands) -> None:
    name = write(commands.directory, "shop.json", specification(description="fine \x1b[31mred"))

    answer = commands.run("validate", name)

    assert answer.code == 0
    assert "note: description: removed terminal escape sequences" in answer.err
    assert "\x1b" not in answer.out + answer.err


def test_the_schema_knows_every_field(commands: Commands) -> None:
    found = commands.run("schema").document

    assert set(specification()) <= set(found["properties"])
    assert set(service()) <= set(found["$defs"]["ServiceSpecification"]["properties"])


def test_the_schema_of_an_environments_record(commands: Commands) -> None:
    found = commands.run("schema", "environment").document

    assert "grants" in found["properties"]
