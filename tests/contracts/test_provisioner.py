"""What every provisioner promises, the real one and the fake."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from deployments.adapters.provisioner import LocalProvisioner
from deployments.domain.errors import Refused
from deployments.domain.ports import Provisioner, ResourceRequest
from tests.fakes.database import PostgresServer
from tests.fakes.provisioner import FakeProvisioner


@pytest.fixture(params=["real", "fake"])
def provisioner(request: pytest.FixtureRequest, tmp_path: Path) -> Provisioner:
    if request.param == "fake":
        return FakeProvisioner()
    postgres: PostgresServer = request.getfixturevalue("postgres")
    return LocalProvisioner(tmp_path, database_url=lambda: postgres.url("postgres"))


def asked(kind: str, key: str = "") -> ResourceRequest:
    return ResourceRequest(key or f"test_provisioner.{kind}", kind, kind, "shop/production")


@pytest.mark.parametrize("kind", ["directory", "port", "database"])
def test_a_resource_is_made_once_found_and_removed(provisioner: Provisioner, kind: str) -> None:
    request = asked(kind)
    try:
        assert provisioner.find(request) is None
        made = provisioner.ensure(request)
        assert made.was_created
        again = provisioner.ensure(request)
        assert not again.was_created
        assert again.values == made.values
        found = provisioner.find(request)
        assert found is not None
        assert found.values == made.values
    finally:
        provisioner.remove(request)
    assert provisioner.find(request) is None
    provisioner.remove(request)


@pytest.mark.parametrize(("kind", "value"), [("directory", "path"), ("port", "port"), ("database", "url")])
def test_resources_of_different_keys_are_apart(provisioner: Provisioner, kind: str, value: str) -> None:
    requests = [asked(kind, "a/b"), asked(kind, "a-b")]
    try:
        first, second = (provisioner.ensure(request) for request in requests)
        assert first.values[value] != second.values[value]
    finally:
        for request in requests:
            provisioner.remove(request)


def test_an_unknown_kind_is_refused(provisioner: Provisioner) -> None:
    with pytest.raises(Refused, match="unknown"):
        provisioner.ensure(asked("queue"))


def test_a_key_keeps_its_port_until_it_is_given_back(provisioner: Provisioner) -> None:
    port = provisioner.free_port("api")
    assert provisioner.free_port("api") == port
    assert provisioner.free_port("web") != port
    provisioner.release_port("api")
    provisioner.release_port("api")


def test_configuration_may_be_written_twice_and_removed_twice(provisioner: Provisioner) -> None:
    first = provisioner.write_configuration("api", {"a.ini": "1"})
    assert provisioner.write_configuration("api", {"a.ini": "1"}) == first
    assert provisioner.write_configuration("web", {"a.ini": "1"}) != first
    provisioner.remove_configuration("api")
    provisioner.remove_configuration("api")


@pytest.mark.parametrize("name", ["../a", "/etc/a"])
def test_a_file_outside_of_its_directory_is_refused(provisioner: Provisioner, name: str) -> None:
    with pytest.raises(Refused):
        provisioner.write_configuration("api", {name: "1"})


def test_the_address_of_a_database_works(tmp_path: Path, postgres: PostgresServer) -> None:
    real = LocalProvisioner(tmp_path, database_url=lambda: postgres.url("postgres"))
    request = asked("database", "address")
    made = real.ensure(request)
    try:
        with psycopg.connect(made.values["url"]) as connection:
            row = connection.execute("select current_database()").fetchone()
        assert row == (made.values["name"],)
    finally:
        real.remove(request)
