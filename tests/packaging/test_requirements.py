"""The locks: complete, hashed, without addresses, and in step with what they pin."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").rglob("*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins(lock: Path) -> dict[str, tuple[Version, int]]:
    """Version and number of hashes by package."""
    blocks = re.findall(r"^([\w.-]+)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", lock.read_text(), re.MULTILINE)
    return {canonicalize_name(name): (Version(version), hashes.count("--hash")) for name, version, hashes in blocks}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_pin_carries_hashes_and_no_lock_names_an_address(lock: Path) -> None:
    lines = lock.read_text().splitlines()
    starts = [line for line in lines if re.match(r"[A-Za-z0-9]", line)]
    assert len(pins(lock)) == len(starts) > 0
    assert not [line for line in lines if "://" in line or line.startswith("-")]


@pytest.mark.parametrize(
    ("wanted", "lock"),
    [
        *((line, "runtime.txt") for line in PROJECT["project"]["dependencies"]),
        *((line, "dev.txt") for line in PROJECT["dependency-groups"]["dev"]),
    ],
    ids=str,
)
def test_the_lock_pins_what_the_project_asks_for(wanted: str, lock: str) -> None:
    requirement = Requirement(wanted)
    version, _ = pins(ROOT / "requirements" / lock)[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version, prereleases=True), "run `make lock`"


def test_runtime_and_development_agree_on_every_shared_package() -> None:
    runtime, development = pins(ROOT / "requirements" / "runtime.txt"), pins(ROOT / "requirements" / "dev.txt")
    assert {name: runtime[name] for name in runtime.keys() & development.keys()} == {
        name: development[name] for name in runtime.keys() & development.keys()
    }


@pytest.mark.parametrize("asked", sorted((ROOT / "requirements" / "programs").glob("*.in")), ids=lambda path: path.stem)
def test_every_program_is_locked_as_asked(asked: Path) -> None:
    locked = pins(asked.with_suffix(".txt"))
    for line in asked.read_text().splitlines():
        if text := line.split("#")[0].strip():
            requirement = Requirement(text)
            version, _ = locked[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version, prereleases=True), "run `make lock`"
