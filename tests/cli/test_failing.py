"""Messages and exit codes by family; nothing that is written can end a command."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import pytest

from deployments.cli import failing
from deployments.cli.output import Output
from deployments.domain import errors
from tests.cli.commands import COMMAND, Commands


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidSpecification(), 2),
        (errors.SecurityError(), 3),
        (errors.LeaseHeld(), 4),
        (errors.ControllerLost(), 4),
        (errors.DatabaseUnavailable(), 5),
        (errors.NeverHealthy(), 6),
        (errors.Cancelled(), 130),
        (KeyboardInterrupt(), 130),
        (ValueError("odd"), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_the_family_decides_the_exit_code(error: BaseException, code: int) -> None:
    assert failing.exit_code(error) == code
    assert code in failing.EXIT_CODES


def test_every_family_has_another_code() -> None:
    codes = [code for _, code, _ in failing.FAMILIES]

    assert {code for code in failing.EXIT_CODES if code > 1} == set(codes)


def test_a_message_names_the_family_what_is_wrong_and_the_remedy() -> None:
    lines = failing.lines_of(errors.LeaseHeld("staging is held.", remedy="Wait for it."))

    assert lines == ["fairlead: conflict: staging is held.", "  remedy: Wait for it."]


def test_a_message_cannot_drive_the_terminal() -> None:
    lines = failing.lines_of(errors.BuildFailed("\x1b[2Jgone"))

    assert lines == ["fairlead: failed: gone"]


def test_something_unexpected_is_one_line_and_a_traceback_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path))
    complaints = io.StringIO()

    code = failing.tell(ZeroDivisionError("by zero"), Output(io.StringIO(), complaints))

    log = tmp_path / "logs" / "fairlead.log"
    assert code == 1
    assert "fairlead: unexpected: ZeroDivisionError: by zero" in complaints.getvalue()
    assert "Traceback" not in complaints.getvalue()
    assert str(log) in complaints.getvalue()
    assert "ZeroDivisionError: by zero" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_a_setting_that_cannot_be_used_is_refused_by_name(commands: Commands) -> None:
    answer = commands.run("status", variables={"FAIRLEAD_LEASE_SECONDS": "soon"})

    assert answer.code == 2
    assert "FAIRLEAD_LEASE_SECONDS" in answer.err


def test_a_database_that_is_away_is_unavailable(commands: Commands) -> None:
    url = f"postgresql://nobody@/none?host={commands.directory}"

    answer = commands.run("history", variables={"FAIRLEAD_DATABASE_URL": url})

    assert answer.code == 5, answer.all
    assert "remedy:" in answer.err


def test_status_says_why_the_records_cannot_be_read_and_what_the_data_plane_knows(commands: Commands) -> None:
    url = f"postgresql://nobody@/none?host={commands.directory}"

    answer = commands.run("status", variables={"FAIRLEAD_DATABASE_URL": url})

    assert answer.code == 0, answer.all
    assert "The records cannot be read: " in answer.out
    assert "The data plane runs no instances." in answer.out


def test_json_has_the_error_in_it(commands: Commands) -> None:
    url = f"postgresql://nobody@/none?host={commands.directory}"

    answer = commands.run("history", "--json", variables={"FAIRLEAD_DATABASE_URL": url})

    assert answer.code == 5
    assert answer.document["error"]["family"] == "unavailable"
    assert answer.document["error"]["exit_code"] == 5


def test_an_encoding_that_lacks_a_character_ends_nothing(commands: Commands) -> None:
    (commands.directory / "shop.yaml").write_text("project: caf\N{LATIN SMALL LETTER E WITH ACUTE}\n", encoding="utf-8")

    answer = commands.run(
        "validate", "shop.yaml", variables={"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    )

    assert answer.code == 2
    assert "Traceback" not in answer.err
    assert answer.out.isascii()


def test_a_reader_that_goes_away_is_no_error(commands: Commands) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*COMMAND, "schema"],
            stdout=writing,
            stderr=subprocess.PIPE,
            env=commands.environment,
            cwd=commands.directory,
            check=False,
        )
    finally:
        os.close(writing)

    assert (done.returncode, done.stderr) == (0, b"")


def test_colours_only_where_a_terminal_shows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Output(io.StringIO(), io.StringIO()).styled("well", "green") == "well"
    assert Output(io.StringIO(), io.StringIO(), has_colours=True).styled("well", "green") == "\x1b[32mwell\x1b[0m"


def test_cells_of_a_table_stay_on_one_line_and_cannot_drive_the_terminal() -> None:
    results = io.StringIO()

    Output(results, io.StringIO()).table(("name", "message"), [("a", "two\nlines \x1b[31mred"), ("bcd", None)])

    assert results.getvalue() == "NAME  MESSAGE\na     two lines red\nbcd   -\n"
