"""Settings: read once, defaults for every kind of machine, nonsense refused by name."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from deployments.domain.errors import Refused
from deployments.settings import Settings, Timings, ensure_private_directory

NAME = f"fairlead-{os.geteuid()}"


def test_the_home_is_the_one_asked_for(tmp_path: Path) -> None:
    settings = Settings.read({"FAIRLEAD_HOME": str(tmp_path / "here"), "HOME": "/elsewhere"})
    assert settings.home == tmp_path / "here"
    assert not settings.home.exists()


def test_the_state_directory_comes_before_the_home_directory(tmp_path: Path) -> None:
    (tmp_path / "me").mkdir()
    environ = {"XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path / "me")}
    assert Settings.read(environ).home == tmp_path / "state" / "fairlead"
    del environ["XDG_STATE_HOME"]
    assert Settings.read(environ).home == tmp_path / "me" / ".local" / "state" / "fairlead"


@pytest.mark.parametrize(
    "environ",
    [{}, {"HOME": ""}, {"HOME": "/dev/null"}, {"HOME": "/nonexistent"}, {"HOME": "relative"}],
    ids=["unset", "empty", "no directory", "not there", "relative"],
)
def test_a_home_directory_that_cannot_be_used_is_replaced(environ: dict[str, str]) -> None:
    assert Settings.read(environ).home == Path("/var/tmp") / NAME


def test_two_homes_have_two_run_directories_and_one_home_keeps_its_own(tmp_path: Path) -> None:
    one, other = ({"FAIRLEAD_HOME": str(tmp_path / name)} for name in ("one", "other"))
    assert Settings.read(one).run_directory == Settings.read(one).run_directory
    assert Settings.read(one).run_directory != Settings.read(other).run_directory


@pytest.mark.parametrize("length", [10, 400])
def test_the_run_directory_is_short_however_long_the_home_and_the_runtime_directory(
    tmp_path: Path, length: int
) -> None:
    runtime = tmp_path / ("r" * min(length, 200))
    runtime.mkdir()
    settings = Settings.read({"FAIRLEAD_HOME": "/" + "h" * length, "XDG_RUNTIME_DIR": str(runtime)})
    assert len(str(settings.run_directory)) <= 60


def test_the_run_directory_is_in_the_runtime_directory_where_there_is_one() -> None:
    settings = Settings.read({"FAIRLEAD_HOME": "/x", "XDG_RUNTIME_DIR": "/tmp"})
    assert settings.run_directory.parent == Path("/tmp")
    assert settings.run_directory.name.startswith(NAME)


def test_the_database_address_is_not_shown(tmp_path: Path) -> None:
    settings = Settings.read({"FAIRLEAD_HOME": str(tmp_path), "FAIRLEAD_DATABASE_URL": "postgresql://me:word@db/x"})
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://me:word@db/x"
    assert "word" not in repr(settings)


@pytest.mark.parametrize("variable", ["FAIRLEAD_WHEELHOUSE", "FAIRLEAD_HAPROXY"])
def test_a_path_that_does_not_exist_is_refused_by_the_name_of_its_variable(variable: str) -> None:
    with pytest.raises(Refused, match=variable):
        Settings.read({variable: "/does/not/exist"})


def test_the_defaults_are_two_six_fifteen_and_thirty_seconds() -> None:
    timings = Timings.read({})
    assert [t.total_seconds() for t in (timings.renew, timings.lease, timings.takeover, timings.handle)] == [
        2,
        6,
        15,
        30,
    ]


def test_timings_can_be_set() -> None:
    timings = Timings.read({"FAIRLEAD_RENEW_SECONDS": "0.5", "FAIRLEAD_LEASE_SECONDS": "1.5"})
    assert (timings.renew, timings.lease) == (timedelta(milliseconds=500), timedelta(milliseconds=1500))


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"FAIRLEAD_RENEW_SECONDS": "6"}, "FAIRLEAD_LEASE_SECONDS"),
        ({"FAIRLEAD_LEASE_SECONDS": "20"}, "FAIRLEAD_TAKEOVER_SECONDS"),
        ({"FAIRLEAD_HANDLE_SECONDS": "15"}, "FAIRLEAD_HANDLE_SECONDS"),
        ({"FAIRLEAD_RENEW_SECONDS": "0"}, "FAIRLEAD_RENEW_SECONDS"),
        ({"FAIRLEAD_RENEW_SECONDS": "-1"}, "FAIRLEAD_RENEW_SECONDS"),
        ({"FAIRLEAD_LEASE_SECONDS": "soon"}, "FAIRLEAD_LEASE_SECONDS"),
        ({"FAIRLEAD_LEASE_SECONDS": "nan"}, "FAIRLEAD_LEASE_SECONDS"),
        ({"FAIRLEAD_HANDLE_SECONDS": "inf"}, "FAIRLEAD_HANDLE_SECONDS"),
    ],
)
def test_timings_out_of_order_or_not_numbers_are_refused(environ: dict[str, str], named: str) -> None:
    with pytest.raises(Refused, match=named):
        Timings.read(environ)


def test_directories_are_made_private(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "deep" / "home", run_directory=tmp_path / "run")
    settings.ensure_directories()
    settings.ensure_directories()
    assert settings.run_directory.stat().st_mode & 0o777 == 0o700


def test_a_directory_others_may_write_to_is_closed(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o777)
    (tmp_path / "open").chmod(0o777)
    ensure_private_directory(tmp_path / "open")
    assert (tmp_path / "open").stat().st_mode & 0o022 == 0


def test_a_directory_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    with pytest.raises(Refused, match="another user"):
        ensure_private_directory(tmp_path)


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="FAIRLEAD_HOME"):
        ensure_private_directory(tmp_path / "file" / "home")
