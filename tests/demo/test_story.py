"""The demo's whole job, as `make demo` runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.demo.fairlead import ROOT
from examples.demo.visits import MISTAKE

PATIENCE = 600.0


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The demo, under way; ended as Ctrl-C would if it still runs."""
    command = [sys.executable, "-m", "examples.demo", "--json", str(tmp_path / "outcome.json")]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=PATIENCE)


def processes_of(home: str) -> list[str]:
    """Whatever still runs out of the demo's home, or for it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words, environment = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:
            continue
        if home.encode() in words or home.encode() in environment:
            found.append(words.replace(b"\0", b" ").decode("utf-8", "replace"))
    return found


@pytest.mark.slow
@pytest.mark.timeout(2 * PATIENCE)
def test_the_story_loses_no_request_takes_the_mistake_back_and_leaves_nothing(
    demo: subprocess.Popen[str], tmp_path: Path
) -> None:
    told, _ = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 0, told
    outcome = json.loads((tmp_path / "outcome.json").read_text())
    assert outcome["complaints"] == []
    assert outcome["failed_otherwise"] == outcome["missing"] == 0
    assert outcome["failed_because_of_the_bad_release"] > 0
    assert sum(outcome["by_release"].values()) == outcome["sent"] > 100
    releases = {
        "catalogue 1.0.0",
        "catalogue 2.0.0",
        MISTAKE.release,
        "api 1.0.0",
        "api 2.0.0",
        "gateway 1.0.0",
        "gateway 2.0.0",
    }
    assert set(outcome["by_release"]) == releases
    assert all(outcome["by_way"][way] > 0 for way in ("kept", "new", "slow"))
    assert [moment["words"] for moment in outcome["timeline"]][-1] == "rolled back"
    assert not Path(outcome["home"]).exists()
    assert processes_of(outcome["home"]) == []


@pytest.mark.slow
@pytest.mark.timeout(2 * PATIENCE)
def test_an_interrupted_story_takes_back_what_was_under_way_and_leaves_nothing(demo: subprocess.Popen[str]) -> None:
    assert demo.stdout is not None
    told = ""
    for line in demo.stdout:
        told += line
        if "planned" in line:
            os.killpg(demo.pid, signal.SIGINT)
            break
    rest, _ = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 130, told + rest
    assert "Interrupted." in rest
    home = told.partition("home of its own: ")[2].split()[0]
    assert not Path(home).exists()
    assert processes_of(home) == []
