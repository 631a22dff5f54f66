"""`--help` is complete, cheap, and the same on every terminal."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from deployments.cli.failing import EXIT_CODES
from deployments.cli.verbs.table import VERBS
from tests.cli.commands import CHECKOUT, Commands

HEAVY = ("prefect", "sqlalchemy", "pydantic", "rich", "yaml", "httpx", "psycopg")


def test_help_names_every_verb_and_every_exit_code(commands: Commands) -> None:
    answer = commands.run("--help")

    assert answer.code == 0, answer.all
    for verb in VERBS:
        assert f"\n    {verb.name}" in answer.out
    for code, meaning in EXIT_CODES.items():
        assert f"{code}  {meaning}" in answer.out


@pytest.mark.parametrize("verb", VERBS, ids=[verb.name for verb in VERBS])
def test_the_help_of_a_verb_has_its_examples(verb, capsys) -> None:  # type: ignore[no-untyped-def]
    from deployments.cli.__main__ import main

    with pytest.raises(SystemExit) as ending:
        main([verb.name, "--help"])

    assert ending.value.code == 0
    shown = capsys.readouterr().out
    for command, meaning in verb.examples:
        assert command in shown
        assert meaning in shown


@pytest.mark.parametrize("words", [["--help"], ["deploy", "--help"], ["--version"], ["nonsense"]])
def test_help_imports_nothing_that_takes_time(words: list[str]) -> None:
    listing = f"import sys; sys.argv[1:] = {words!r}\nfrom deployments.cli.__main__ import main\n"
    listing += "try:\n    main()\nexcept SystemExit:\n    pass\nsys.stderr.write('|'.join(sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", listing], cwd=CHECKOUT, capture_output=True, text=True, check=True, env={**os.environ}
    )

    loaded = {name.partition(".")[0] for name in found.stderr.splitlines()[-1].split("|")}
    assert not loaded.intersection(HEAVY)


def test_validate_imports_neither_prefect_nor_a_database(commands: Commands) -> None:
    (commands.directory / "shop.yaml").write_text("project: shop")
    listing = "import sys; sys.argv[1:] = ['validate', 'shop.yaml']\nfrom deployments.cli.__main__ import main\n"
    listing += "main(); sys.stderr.write('\\n' + '|'.join(sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", listing],
        cwd=commands.directory,
        env=commands.environment,
        capture_output=True,
        text=True,
        check=True,
    )

    loaded = {name.partition(".")[0] for name in found.stderr.splitlines()[-1].split("|")}
    assert not loaded.intersection({"prefect", "sqlalchemy", "rich", "httpx", "psycopg", "alembic"})


def test_without_a_verb_the_help_is_shown(commands: Commands) -> None:
    answer = commands.run()

    assert answer.code == 0
    assert "verbs:" in answer.out


def test_a_word_that_is_no_verb_is_a_usage_error(commands: Commands) -> None:
    answer = commands.run("deplyo")

    assert answer.code == 2
    assert "deplyo" in answer.err
