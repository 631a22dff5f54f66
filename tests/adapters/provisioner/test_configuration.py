"""Rendered configuration on disk."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from deployments.adapters.provisioner import LocalProvisioner
from deployments.adapters.provisioner.naming import database_name, file_name
from deployments.domain.errors import DatabaseUnavailable, DiskFull, Refused
from deployments.domain.ports import ResourceRequest


def no_server() -> str:
    return "postgresql+psycopg://postgres@/x?host=/nowhere"


@pytest.fixture
def provisioner(tmp_path: Path) -> LocalProvisioner:
    return LocalProvisioner(tmp_path, database_url=no_server)


def test_files_are_private_and_keep_every_byte(provisioner: LocalProvisioner) -> None:
    directory = provisioner.write_configuration("api/1", {"a.ini": "x\r\n\x00ü", "sub/b.txt": ""})
    assert (directory / "a.ini").read_bytes() == "x\r\n\x00ü".encode()
    assert stat.S_IMODE((directory / "a.ini").stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_writing_the_same_again_leaves_the_files_as_they_are(provisioner: LocalProvisioner) -> None:
    directory = provisioner.write_configuration("api", {"a": "1"})
    before = (directory / "a").stat().st_ino
    assert provisioner.write_configuration("api", {"a": "1"}) == directory
    assert (directory / "a").stat().st_ino == before


def test_writing_other_files_replaces_all_of_them(provisioner: LocalProvisioner) -> None:
    provisioner.write_configuration("api", {"a": "1", "b": "2"})
    directory = provisioner.write_configuration("api", {"a": "3"})
    assert {path.name: path.read_text() for path in directory.iterdir()} == {"a": "3"}
    assert [path.name for path in directory.parent.iterdir()] == [directory.name]


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", "", "a\0b"])
def test_a_file_that_leaves_its_directory_is_refused_and_nothing_is_written(
    provisioner: LocalProvisioner, tmp_path: Path, name: str
) -> None:
    with pytest.raises(Refused):
        provisioner.write_configuration("api", {"fine": "1", name: "2"})
    assert not list(tmp_path.iterdir())


def test_keys_that_look_alike_do_not_meet(provisioner: LocalProvisioner) -> None:
    keys = ["a/b", "a-b", "a b", "A/b", "../a", "." * 300]
    assert len({provisioner.write_configuration(key, {"k": key}) for key in keys}) == len(keys)
    assert len({database_name(key) for key in keys}) == len(keys)
    assert all(len(database_name("x" * 300)) <= 63 and "/" not in file_name(key) for key in keys)


def test_no_space_left_is_named(provisioner: LocalProvisioner, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device", "a")

    monkeypatch.setattr("deployments.adapters.provisioner.provisioner.write_directory", full)
    with pytest.raises(DiskFull, match="writing configuration found no space left"):
        provisioner.write_configuration("api", {"a": "1"})


def test_a_database_server_that_is_away_is_named(provisioner: LocalProvisioner) -> None:
    with pytest.raises(DatabaseUnavailable):
        provisioner.ensure(ResourceRequest("orders", "database", "orders", "production"))
