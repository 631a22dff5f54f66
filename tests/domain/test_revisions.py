"""The same content has the same name; what changes what is built or what runs changes the name."""

from __future__ import annotations

from typing import Any

import pytest

from deployments.domain.ports import SourceLock
from deployments.domain.revisions import configuration_of, digest_of, release_of, revision_of
from tests.domain.specifications import service, specification

LOCK = SourceLock("pypi", "d" * 64)


def release(lock: SourceLock = LOCK, **fields: Any) -> str:
    """The release of a service with these fields."""
    return release_of(specification(service(**fields)).services[0], lock)


def revision(overrides: dict[str, Any] | None = None, **fields: Any) -> str:
    """The revision of a service with these fields, built as everybody's."""
    asked = specification(service(**fields), configuration_overrides=overrides or {})
    return revision_of(asked, asked.services[0], "r" * 64)


@pytest.mark.parametrize(
    "fields",
    [
        {"framework": "static"},
        {"install_command": ["pip", "install", "."]},
        {"build_command": ["make"]},
        {"output_directory": "dist"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_is_built_names_the_release(fields: dict[str, Any]) -> None:
    assert release(**fields) != release()


def test_the_content_of_the_source_names_the_release() -> None:
    assert release(SourceLock("pypi", "e" * 64)) != release()
    assert release(SourceLock("pypi", "d" * 64, reference="main")) == release(), "not where it was found"


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "web"},
        {"version": "2.0"},
        {"run_command": ["other"]},
        {"environment_variables": {"A": "1"}},
        {"configuration": {"values": {"a": "1"}}},
        {"scaling": {"replicas": 3}},
        {"deployment_strategy": {"kind": "rolling"}},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_only_runs_does_not_name_the_release(fields: dict[str, Any]) -> None:
    assert release(**fields) == release()


@pytest.mark.parametrize(
    "fields",
    [
        {"version": "2.0"},
        {"run_command": ["other"]},
        {"environment_variables": {"A": "1"}},
        {"configuration": {"values": {"a": "1"}}},
        {"configuration": {"files": {"a.ini": "1"}}},
        {"resources": {"cpu": 0.5}},
        {"resources": {"memory_mb": 256}},
        {"resources": {"open_files": 100}},
        {"type": "worker"},
        {"overrides": {"api": {"values": {"a": "1"}}}},
    ],
    ids=str,
)
def test_what_runs_names_the_revision(fields: dict[str, Any]) -> None:
    assert revision(**fields) != revision()


@pytest.mark.parametrize(
    "fields",
    [
        {"scaling": {"replicas": 3}},
        {"deployment_strategy": {"kind": "rolling"}},
        {"port": 8080},
        {"checks": [{"name": "ready", "probe": {"kind": "http"}}]},
        {"overrides": {"web": {"values": {"a": "1"}}}},
        {"overrides": {"api": {}}},
    ],
    ids=str,
)
def test_how_it_is_brought_out_does_not_name_the_revision(fields: dict[str, Any]) -> None:
    assert revision(**fields) == revision()


def test_another_release_is_another_revision() -> None:
    asked = specification()
    assert revision_of(asked, asked.services[0], "a" * 64) != revision_of(asked, asked.services[0], "b" * 64)


def test_a_revision_is_short_and_hexadecimal() -> None:
    assert len(revision()) == 12
    assert int(revision(), 16) >= 0


def test_the_order_of_names_does_not_matter() -> None:
    assert revision(environment_variables={"A": "1", "B": "2"}) == revision(environment_variables={"B": "2", "A": "1"})
    assert digest_of({"a": 1, "b": "\u00e9"}) == digest_of({"b": "\u00e9", "a": 1})
    assert digest_of(["a", "b"]) != digest_of(["b", "a"])


def test_an_override_is_laid_over_the_services_own_configuration() -> None:
    own = {"files": {"a.ini": "own", "b.ini": "own"}, "values": {"x": "own", "y": "own"}}
    asked = specification(
        service(configuration=own),
        configuration_overrides={"api": {"files": {"b.ini": "laid over"}, "values": {"y": "laid over", "z": "new"}}},
    )
    found = configuration_of(asked, asked.services[0])
    assert found.files == {"a.ini": "own", "b.ini": "laid over"}
    assert found.values == {"x": "own", "y": "laid over", "z": "new"}
