"""What an instance is started with, filled in from its surroundings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deployments.domain.codec import program_from_json, program_to_json
from deployments.domain.errors import Refused
from deployments.domain.ports import BuiltRelease, Program
from deployments.domain.programs import PATH, Surroundings, files_for, program_for
from tests.domain.specifications import service, specification

RELEASE = BuiltRelease("r" * 64, Path("/releases/r"), Path("/releases/r/venv/bin"), 1)
WITHOUT_BIN = BuiltRelease("r" * 64, Path("/releases/r"), None, 1)
AROUND = Surroundings(
    routes={"api": "http://127.0.0.1:8001", "web-shop": "http://127.0.0.1:8002"},
    resources={"data": "/data", "db": "postgresql://db"},
    configuration=Path("/configuration/api"),
    release=RELEASE,
    python="/usr/bin/python3",
)


def program(around: Surroundings = AROUND, **fields: Any) -> Program:
    """The program of a service with these fields."""
    asked = specification(service(**fields))
    return program_for(
        asked, asked.services[0], around, instance="api-new-1", revision="abc", port=9001, log=Path("/logs/api/log")
    )


def files(around: Surroundings = AROUND, **fields: Any) -> dict[str, str]:
    """The files of a service with these fields."""
    asked = specification(service(**fields))
    return files_for(asked, asked.services[0], around)


@pytest.mark.parametrize(
    ("word", "filled"),
    [
        ("{bin}/api", "/releases/r/venv/bin/api"),
        ("--port={port}", "--port=9001"),
        ("{config}/a.ini", "/configuration/api/a.ini"),
        ("{release}", "/releases/r"),
        ("{python}", "/usr/bin/python3"),
        ("{route.web-shop}/path", "http://127.0.0.1:8002/path"),
        ("{resource.data}", "/data"),
        ("{value.greeting}", "hello {port}"),
        ('{"json": 1}', '{"json": 1}'),
        ("{{port}}", "{port}"),
        ("${port}", "${port}"),
        ("", ""),
    ],
)
def test_words_are_filled_in_commands_and_variables(word: str, filled: str) -> None:
    found = program(
        run_command=["run", word],
        environment_variables={"WORD": word},
        configuration={"values": {"greeting": "hello {port}"}},
    )
    assert found.command == ("run", filled)
    assert found.environment["WORD"] == filled


def test_a_program_carries_who_it_is_and_what_it_may_use() -> None:
    found = program(resources={"cpu": 0.5, "memory_mb": 64, "open_files": 256})
    assert (found.instance, found.project_environment, found.service, found.revision) == (
        "api-new-1",
        "production",
        "api",
        "abc",
    )
    assert (found.directory, found.port, found.log) == (Path("/releases/r"), 9001, Path("/logs/api/log"))
    assert (found.cpu, found.memory_mb, found.open_files) == (0.5, 64, 256)


def test_its_environment_is_complete_and_inherits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_CONTROLLER", "x")
    assert program().environment == {
        "PATH": f"/releases/r/venv/bin:{PATH}",
        "VIRTUAL_ENV": "/releases/r/venv",
        "LANG": "C.UTF-8",
        "HOME": "/configuration/api",
        "PORT": "9001",
        "FAIRLEAD_SERVICE": "api",
        "FAIRLEAD_REVISION": "abc",
        "FAIRLEAD_ROUTE_API": "http://127.0.0.1:8001",
        "FAIRLEAD_ROUTE_WEB_SHOP": "http://127.0.0.1:8002",
    }


def test_without_programs_of_its_own_the_release_is_where_they_are() -> None:
    found = program(Surroundings(release=WITHOUT_BIN))
    assert found.command == ("/releases/r/datasette", "--port", "9001")
    assert found.environment["PATH"] == PATH
    assert "VIRTUAL_ENV" not in found.environment
    assert found.environment["HOME"] == "/logs/api", "there is no configuration directory"


def test_the_specification_has_the_last_word_on_a_variable() -> None:
    assert program(environment_variables={"PATH": "/own", "PORT": "1"}).environment["PATH"] == "/own"


def test_a_static_service_has_a_server_unless_it_names_one() -> None:
    found = program(framework="static", run_command=[])
    expected = "/usr/bin/python3 -m http.server 9001 --bind 127.0.0.1 --directory /releases/r"
    assert " ".join(found.command) == expected
    assert program(framework="static", run_command=["own"]).command == ("own",)


@pytest.mark.parametrize(
    ("around", "fields"),
    [
        (AROUND, {"run_command": []}),
        (AROUND, {"run_command": [], "framework": "none"}),
        (Surroundings(), {}),
    ],
    ids=["python without a command", "none without a command", "no release"],
)
def test_without_anything_to_run_it_is_refused(around: Surroundings, fields: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="api has no run_command"):
        program(around, **fields)


def test_a_placeholder_without_a_value_is_refused_by_name() -> None:
    with pytest.raises(Refused, match=r"no value for the placeholder \{route\.elsewhere\}"):
        program(run_command=["run", "{route.elsewhere}"])


def test_files_are_filled_in() -> None:
    found = files(
        configuration={
            "files": {"a.ini": "data={resource.data}\nconfig={config}", "b/c.json": '{"url": "{route.api}"}'},
            "values": {"unused": "x"},
        }
    )
    assert found == {
        "a.ini": "data=/data\nconfig=/configuration/api",
        "b/c.json": '{"url": "http://127.0.0.1:8001"}',
    }


def test_a_file_cannot_name_a_port_because_every_instance_shares_it() -> None:
    with pytest.raises(Refused, match=r"placeholder \{port\}"):
        files(configuration={"files": {"a.ini": "{port}"}})


def test_overrides_reach_files_and_commands() -> None:
    asked = specification(
        service(run_command=["run", "{value.a}"], configuration={"files": {"a": "{value.a}"}, "values": {"a": "own"}}),
        configuration_overrides={"api": {"values": {"a": "laid over"}}},
    )
    found = program_for(asked, asked.services[0], AROUND, instance="i", revision="r", port=1, log=Path("/l/l"))
    assert found.command == ("run", "laid over")
    assert files_for(asked, asked.services[0], AROUND) == {"a": "laid over"}


def test_a_program_comes_back_from_json_as_it_was() -> None:
    assert program_from_json(program_to_json(program())) == program()
