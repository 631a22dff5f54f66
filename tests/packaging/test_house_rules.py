"""Rules of the house that no linter knows: sizes, a pure domain, names, and that the wheel is complete."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("blocks", "deployments", "flows", "tasks")
MODULES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
MIGRATIONS = ROOT / "deployments" / "store" / "migrations" / "versions"
LONGEST_FILE = 500
LONGEST_FUNCTION = 60
BANNED_NAMES = {"utils", "helpers", "common", "manager", "handler", "base"}
# The domain is told the time and the identity; it asks nobody, and opens nothing.
IMPURE_CALLS = {"now", "utcnow", "today", "uuid1", "uuid4", "open", "read_text", "write_text", "print", "input"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(file: Path) -> str:
    """For the test's id."""
    return str(file.relative_to(ROOT))


def test_files_are_short_enough_to_read() -> None:
    lengths = {name_of(file): len(file.read_text().splitlines()) for file in MODULES}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_functions_are_short_enough_to_read() -> None:
    long = {
        f"{name_of(file)}:{node.lineno} {node.name}"
        for file in MODULES
        if MIGRATIONS not in file.parents  # a migration is a list, and is never changed to read better
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, Function) and (node.end_lineno or 0) - node.lineno + 1 > LONGEST_FUNCTION
    }
    assert long == set()


def test_files_are_named_after_the_idea_in_them() -> None:
    assert {name_of(file) for file in MODULES if file.stem in BANNED_NAMES} == set()


def test_nothing_inside_flows_shadows_a_package() -> None:
    inside = {path.stem for path in (ROOT / "flows").rglob("*") if path.name != "__pycache__"}
    assert inside & set(PACKAGES) == set()


def test_every_module_says_what_it_is_for() -> None:
    silent = {
        name_of(file)
        for file in MODULES
        if file.read_text().strip() and not ast.get_docstring(ast.parse(file.read_text()))
    }
    assert silent == set()


def test_the_domain_asks_nobody_for_time_identity_or_files() -> None:
    impure = {
        f"{name_of(file)}:{node.lineno} {called}"
        for file in MODULES
        if file.is_relative_to(ROOT / "deployments" / "domain")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and (called := called_name(node.func)) in IMPURE_CALLS
    }
    assert impure == set()


def called_name(function: ast.expr) -> str:
    """The last word of what is called."""
    match function:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


def test_the_wheel_holds_every_file_of_the_packages(tmp_path: Path) -> None:
    files = (file for package in PACKAGES for file in (ROOT / package).rglob("*") if file.is_file())
    expected = {name_of(file) for file in files if "__pycache__" not in file.parts}
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-qq"]
    subprocess.run([*build, "-w", tmp_path, ROOT], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert expected - set(zipfile.ZipFile(wheel).namelist()) == set()
