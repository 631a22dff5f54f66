"""The whole road, for real: `fairlead` with nothing running before it, in one home that all tests here share.

Version 1.0 runs in `staging` from the beginning and again at the end of each test.
"""

from __future__ import annotations

import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import Answer, Commands
from tests.cli.specifications import service, specification, write, write_site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def first(run_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Commands, Answer]]:
    """A home, and the answer of the very first command in it; everything is destroyed at the end."""
    directory = tmp_path_factory.mktemp("work")
    write_site(directory, "one")
    commands = Commands(run_directory / "cli-home", directory)
    try:
        yield commands, deploy(commands)
    finally:
        answer = commands.run("destroy", "--yes", "--everything", "--force")
    assert answer.code == 0, answer.all
    assert not commands.home.exists()


@pytest.fixture
def commands(first: tuple[Commands, Answer]) -> Commands:
    """The shared home."""
    return first[0]


def deploy(commands: Commands, version: str = "1.0", *words: str, **changes: Any) -> Answer:
    """Write the site and the specification of a version, and deploy them."""
    write_site(commands.directory, f"version {version}")
    asked = specification(service(version=version, **changes))
    return commands.run("deploy", write(commands.directory, f"{version}.json", asked), *words)


def page(commands: Commands) -> str:
    """What the service answers on its public route."""
    found = commands.run("status", "staging", "--json").document["environments"][0]
    with urllib.request.urlopen(found["services"][0]["url"], timeout=30) as answer:
        return str(answer.read().decode())


def test_the_first_command_starts_what_it_needs_and_deploys(first: tuple[Commands, Answer]) -> None:
    _, answer = first

    assert answer.code == 0, answer.all
    for told in (
        "Starting PostgreSQL",
        "== validating",
        "moved traffic to web",
        "== completed",
        "web: http://127.0.0.1:",
    ):
        assert told in answer.out, answer.all
    assert "\x1b" not in answer.out
    assert "Traceback" not in answer.err


def test_what_was_deployed_is_told_by_every_verb_that_looks(commands: Commands) -> None:
    assert page(commands) == "version 1.0"
    ran = commands.run("history", "--environment", "staging", "--json").document["deployments"][-1]
    instance = commands.run("status", "staging", "--json").document["environments"][0]["instances"][0]["id"]

    status = commands.run("status")
    shown = commands.run("show", ran["name"])
    logs = commands.run("logs", "web", "--environment", "staging")
    environment = commands.run("environment", "show", "staging")

    assert (status.code, shown.code, logs.code, environment.code) == (0, 0, 0, 0)
    assert instance in status.out
    assert "100%" in status.out
    assert "moved traffic to web" in shown.out
    assert '"GET / HTTP/1.1" 200' in logs.out
    assert "grants[0].permissions: deploy rollback administer" in environment.out
    assert commands.run("show", ran["name"], "--json").document["report"]["deployment"] == ran["id"]


def test_what_runs_already_is_planned_as_nothing_and_deployed_as_nothing(commands: Commands) -> None:
    write_site(commands.directory, "version 1.0")

    planned = commands.run("plan", "1.0.json", "--json")
    again = deploy(commands, "1.0", "--json")

    assert planned.document["is_empty"] is True, planned.all
    assert (again.code, again.document["reason"]) == (0, "nothing_to_do"), again.all


def test_a_rollback_returns_to_the_state_before_and_not_to_what_it_left(commands: Commands) -> None:
    released = deploy(commands, "2.0")
    assert (released.code, page(commands)) == (0, "version 2.0"), released.all

    back = commands.run("rollback", "staging")
    too_far = commands.run("rollback", "staging")

    assert (back.code, page(commands)) == (0, "version 1.0"), back.all
    assert too_far.code == 2, too_far.all
    assert "has no stable state of web earlier than" in too_far.err


def test_a_release_that_never_works_comes_back_and_says_why(commands: Commands) -> None:
    ends = ["{python}", "-c", "import sys; sys.exit('no configuration')"]

    answer = deploy(commands, "6.0", run_command=ends)
    planned = commands.run("plan", "6.0.json", "--json")

    assert answer.code == 6, answer.all
    assert "rolled back" in answer.out
    assert "fairlead: failed: " in answer.err
    assert "remedy:" in answer.err
    assert page(commands) == "version 1.0"
    assert (planned.code, planned.document["error"]["kind"]) == (2, "Quarantined"), planned.all


@pytest.mark.parametrize("how", ["SIGINT", "cancel"])
def test_cancelling_takes_back_and_says_so(commands: Commands, how: str) -> None:
    write_site(commands.directory, f"stopped by {how}")
    asked = specification(service(version="7.0"), success_criteria={"bake": "10m"})
    process = commands.start("deploy", write(commands.directory, "stopped.json", asked))
    try:
        told = read_until(process, "watching the new releases")
        newest = commands.run("history", "--environment", "staging", "--limit", "1", "--json").document
        deployment = newest["deployments"][0]["name"]
        if how == "cancel":
            cancelled = commands.run("cancel", deployment, "--reason", "wrong branch")
            assert cancelled.code == 0, cancelled.all
        else:
            process.send_signal(signal.Signals[how])
        told += process.communicate(timeout=120)[0]
    finally:
        process.kill()
        process.wait()

    assert process.returncode == 130, told
    assert "rolled back" in told
    assert "Traceback" not in told
    if how != "cancel":
        assert "Cancelling: traffic returns first" in told
    assert commands.run("show", deployment, "--json").document["deployment"]["status"] == "rolled_back"
    assert page(commands) == "version 1.0"


def test_services_outlive_the_control_plane(commands: Commands) -> None:
    url = commands.run("status", "staging", "--json").document["environments"][0]["services"][0]["url"]

    down = commands.run("down")
    status = commands.run("status", "staging")

    assert down.code == 0, down.all
    assert "stopped service postgres" in down.out
    assert (status.code, "is not running" in status.out) == (5, True), status.all
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.read() == b"version 1.0"
    history = commands.run("history", "--limit", "1")
    assert history.code == 0, history.all


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Everything up to the line that has the text."""
    told = ""
    assert process.stdout is not None
    for line in process.stdout:
        told += line
        if text in line:
            return told
    pytest.fail(f"it ended before it said {text!r}:\n{told}")
