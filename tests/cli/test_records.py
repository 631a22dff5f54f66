"""Verbs that need records and nothing else: no Prefect, no data plane, nothing started."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployments.cli.__main__ import main
from deployments.cli.reaching import user
from deployments.domain.status import DeploymentStatus
from deployments.store.records import Records
from tests.cli.commands import Answer
from tests.cli.specifications import service, specification, write, write_site
from tests.driver.stage import ENVIRONMENT, Reaper, Stage
from tests.driver.stage import service as driver_service
from tests.driver.stage import specification as driver_specification

Run = Callable[..., Answer]


@pytest.fixture
def fairlead(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Runs a command in this process, in a directory with a site, on a database of the tests."""
    for name in list(os.environ):
        if name.startswith("FAIRLEAD_") and name != "FAIRLEAD_TEST_SESSION":
            monkeypatch.delenv(name)
    monkeypatch.setenv("FAIRLEAD_DATABASE_URL", database_url)
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    write_site(tmp_path, "one")

    def run(*words: str) -> Answer:
        code = main(words)
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return run


def record(name: str, **changes: Any) -> dict[str, Any]:
    """An environment that this user administers."""
    grant = {"principal": user(), "permissions": ["administer"]}
    return {"name": name, "project": "shop", "grants": [grant], **changes}


def test_a_record_is_made_changed_and_left_as_it_is(fairlead: Run, tmp_path: Path) -> None:
    write(tmp_path, "one.json", record("applied"))
    write(tmp_path, "two.json", record("applied", region="eu-1"))

    answers = [fairlead("environment", "apply", name) for name in ("one.json", "two.json", "two.json")]

    assert [answer.out for answer in answers] == ["applied: made.\n", "applied: changed.\n", "applied: unchanged.\n"]
    assert "region: eu-1" in fairlead("environment", "show", "applied").out
    assert any(line.split()[:2] == ["applied", "shop"] for line in fairlead("environment").out.splitlines())


def test_a_bad_record_is_told_with_every_problem(fairlead: Run, tmp_path: Path) -> None:
    write(tmp_path, "bad.json", record("bad", colour="red", grants=[{"principal": "ann", "permissions": ["dance"]}]))

    answer = fairlead("environment", "apply", "bad.json")

    assert answer.code == 2
    assert "bad.json:" in answer.err
    assert "colour" in answer.err
    assert "grants[0].permissions[0]" in answer.err


def test_only_an_administrator_changes_a_record(fairlead: Run, tmp_path: Path) -> None:
    foreign = record("foreign", grants=[{"principal": "somebody-else", "permissions": ["administer"]}])
    write(tmp_path, "foreign.json", foreign)
    assert "may not change it again" in fairlead("environment", "apply", "foreign.json").out

    again = fairlead("environment", "apply", "foreign.json")
    lifted = fairlead("environment", "lift", "foreign", "0123456789ab", "--reason", "because", "--json")

    assert (again.code, lifted.code) == (3, 3)
    assert "not allowed" in again.err
    assert json.loads(lifted.out)["error"]["kind"] == "SecurityError"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["environment", "show", "nowhere"], 2, "no environment named nowhere"),
        (["show", "nothing"], 2, "no deployment named nothing"),
        (["cancel", "nothing"], 2, "no deployment named nothing"),
        (["rollback", "nowhere"], 2, "no environment named nowhere"),
        (["rollback"], 2, "needs an environment"),
        (["rollback", "--resume", "nothing"], 2, "no deployment named nothing"),
        (["status", "nowhere"], 2, "no environment named nowhere"),
        (["history", "--status", "odd"], 2, "It is one of pending"),
        (["logs", "nothing"], 2, "no log of an instance or service named nothing"),
        (["plan", "missing.yaml"], 2, "no file missing.yaml"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_is_not_there_is_refused_by_name_with_the_remedy(
    fairlead: Run, words: list[str], code: int, told: str
) -> None:
    answer = fairlead(*words)

    assert answer.code == code, answer.all
    assert told in answer.err
    assert "remedy:" in answer.err


def test_an_empty_history_is_said_in_words_and_as_an_empty_list(fairlead: Run) -> None:
    assert fairlead("history", "--environment", "nowhere").out == "There are no such deployments.\n"
    assert fairlead("history", "--environment", "nowhere", "--json").document["deployments"] == []
    assert fairlead("history", "--statistics", "--environment", "nowhere").code == 0


def test_a_plan_shows_changes_order_steps_way_back_risk_and_what_was_asked(fairlead: Run, tmp_path: Path) -> None:
    secret = {"environment_variables": {"API_TOKEN": "hush", "COLOUR": "red"}}
    asked = specification(
        service(), service(name="front", dependencies=["web"], deployment_strategy={"kind": "rolling"}, **secret)
    )

    answer = fairlead("plan", write(tmp_path, "shop.json", asked))

    assert answer.code == 0, answer.all
    for told in (
        "web      create  none -> 1.0",
        "1. web\n  2. front",
        "return all traffic to the stable release",
        "look for the complete release on disk",
        "until the step `stable`",
        "risk 20 of 100",
        "    5  front changes",
        "services[front].dependencies: web",
        "services[front].environment_variables.COLOUR: red",
        "services[front].environment_variables.API_TOKEN: (not shown)",
    ):
        assert told in answer.out, answer.all
    assert "hush" not in answer.out


def test_a_plan_changes_nothing(fairlead: Run, tmp_path: Path) -> None:
    fairlead("plan", write(tmp_path, "shop.json", specification(target_environment="untouched")))

    assert not (tmp_path / "home" / "data-plane").exists()
    assert fairlead("environment", "show", "untouched").code == 2
    assert fairlead("history", "--environment", "untouched", "--json").document["deployments"] == []


def test_a_plan_for_machines_has_each_steps_undo_and_probe(fairlead: Run, tmp_path: Path) -> None:
    found = fairlead("plan", write(tmp_path, "shop.json", specification()), "--json").document

    assert found["is_allowed"] is True
    step = next(step for step in found["plan"]["steps"] if step["key"] == "shift:web:1")
    assert step["undo"] == "return all traffic to the stable release"
    assert step["probe"] == "read the weights"
    assert found["risk_score"] == 10


def test_a_plan_that_would_be_refused_says_so_with_the_exit_code_of_the_refusal(fairlead: Run, tmp_path: Path) -> None:
    asked = specification(service(source={"kind": "path", "path": "nowhere"}))

    answer = fairlead("plan", write(tmp_path, "shop.json", asked))
    found = fairlead("plan", "shop.json", "--json")

    assert answer.code == 2
    assert "nowhere" in answer.err
    assert (found.code, found.document["is_allowed"]) == (2, False)


def test_a_doctor_names_everything_it_looked_at(fairlead: Run) -> None:
    answer = fairlead("doctor", "--json")

    is_well = answer.document["is_well"]
    assert answer.code == (0 if is_well else 5), answer.all
    looked_at = {finding["what"] for finding in answer.document["findings"]}
    assert {"machine", "python", "haproxy", "supervisor", "database", "uv", "disk", "limits", "ports"} <= looked_at
    assert all(finding["remedy"] for finding in answer.document["findings"] if finding["verdict"] == "MISSING")


def test_verbs_that_look_never_take_over_what_nobody_drives(fairlead: Run, database_url: str, tmp_path: Path) -> None:
    lost = lost_deployment(database_url, tmp_path)

    for words in (
        ("status",),
        ("status", ENVIRONMENT),
        ("history",),
        ("show", lost),
        ("environment", "show", ENVIRONMENT),
    ):
        assert fairlead(*words).code == 0, words
    write(tmp_path, "asked.json", specification(service(), target_environment=ENVIRONMENT))
    fairlead("plan", "asked.json")

    with Records(database_url) as records:
        assert records.deployments.get(lost).status is DeploymentStatus.DEPLOYING
        assert records.leases.holder(ENVIRONMENT) is None


def lost_deployment(database_url: str, base: Path) -> str:
    """One whose controller was killed in the middle, a minute ago."""
    stage = Stage(database_url, base)
    stage.deploy(driver_specification())
    upgrade = driver_specification(driver_service("api", "2.0"))
    reaper = Reaper()
    stage.deploy(driver_specification(driver_service("api", "1.1")), reaper)
    stage.deploy(upgrade, Reaper(kill_at=reaper.writes.index("proxy.attach") + 1))
    try:
        return stage.last().id
    finally:
        stage.close()
