"""Set-up: one clear line on a machine that cannot run Fairlead, nothing to do on one that is ready."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def a_folder_of_commands(folder: Path, **scripts: str) -> Path:
    """The whole PATH of a machine that has these commands and no others."""
    for name, script in scripts.items():
        command = folder / name
        command.write_text(f"#!/bin/sh\n{script}\n")
        command.chmod(0o755)
    return folder


def find_python(path: Path, *, python: str = "") -> subprocess.CompletedProcess[str]:
    """Ask for a Python that can run a script, on a machine with this PATH."""
    return subprocess.run(
        ["/bin/sh", str(ROOT / "tools" / "python.sh"), "-c", "print('found')"],
        env={"PATH": str(path), "PYTHON": python},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("uname", "words"),
    [("Darwin arm64", "this machine is Darwin arm64"), ("Linux aarch64", "this machine is Linux aarch64")],
)
def test_another_kind_of_machine_gets_one_line(tmp_path: Path, uname: str, words: str) -> None:
    system, machine = uname.split()
    script = f'case "$1" in -s) echo {system};; -m) echo {machine};; esac'
    answer = find_python(a_folder_of_commands(tmp_path, uname=script))
    assert answer.returncode == 1
    assert words in answer.stderr
    assert answer.stderr.count("\n") == 1


LINUX = 'case "$1" in -s) echo Linux;; -m) echo x86_64;; esac'


def test_a_machine_with_another_python_gets_one_line(tmp_path: Path) -> None:
    answer = find_python(a_folder_of_commands(tmp_path, uname=LINUX, python3="exit 1"))
    assert answer.returncode == 1
    assert answer.stderr.startswith("Fairlead needs Python 3.11")
    assert answer.stderr.count("\n") == 1


def test_a_python_that_is_not_311_is_passed_over(tmp_path: Path) -> None:
    path = a_folder_of_commands(tmp_path, uname=LINUX, python3="exit 1", python=f'exec "{sys.executable}" "$@"')
    assert find_python(path).stdout == "found\n"


def test_a_python_can_be_named(tmp_path: Path) -> None:
    assert find_python(a_folder_of_commands(tmp_path, uname=LINUX), python=sys.executable).stdout == "found\n"


def set_up() -> dict[str, Any]:
    """The names in the set-up script."""
    return runpy.run_path(str(ROOT / "tools" / "set_up.py"), run_name="set_up")


def test_the_pip_that_comes_with_the_checkout_is_the_one_that_is_locked() -> None:
    script = set_up()
    locked = (ROOT / "requirements" / "dev.txt").read_text()
    assert f"pip=={script['PIP'].name.split('-')[1]} " in locked
    assert f"--hash=sha256:{script['PIP_SHA256']}" in locked


def test_the_c_library_is_read_as_numbers() -> None:
    assert set_up()["version"]("glibc 2.36") == (2, 36)


@pytest.mark.parametrize("home", ["", "/nonexistent", None])
def test_without_a_usable_home_caches_stay_in_the_checkout(monkeypatch: pytest.MonkeyPatch, home: str | None) -> None:
    if home is None:
        monkeypatch.delenv("HOME")
    else:
        monkeypatch.setenv("HOME", home)
    assert set_up()["clean_environment"]()["HOME"] == str(ROOT / ".cache" / "home")


def test_a_persons_own_pip_settings_do_not_reach_the_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_TARGET", "/elsewhere")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    assert not {"PIP_TARGET", "PYTHONPATH"} & set_up()["clean_environment"]().keys()


@pytest.mark.skipif(shutil.which("make") is None, reason="run by hand, without make")
def test_make_alone_lists_the_commands() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    listed = subprocess.run(
        ["make", "-C", ROOT, "--no-print-directory"], env=environment, capture_output=True, text=True
    )
    assert {"make demo", "make test", "make check"} <= {line[2:].split("  ")[0] for line in listed.stdout.splitlines()}
