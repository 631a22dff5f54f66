"""Every effect is performed a second time after its receipt was lost: it finds the first, and proves the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import pytest

from deployments.domain.plan import ready_steps
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.status import DeploymentStatus
from deployments.domain.steps import AnyAction, Phase
from deployments.domain.undo import plan_undo
from deployments.driver.effects.table import EFFECTS
from deployments.driver.forward import enter
from deployments.driver.performing import perform
from deployments.driver.planning import make_plan
from deployments.driver.recovery import journal_of
from deployments.driver.run import Run
from tests.driver.stage import Stage, service, specification

Values = Mapping[str, object]
READ: dict[str, tuple[str, ...]] = {
    "build_release": ("path", "size_bytes"),
    "provision_resource": ("value", "values"),
    "declare_routes": ("ports", "before", "added"),
    "render_configuration": ("path", "files"),
    "hold_traffic": ("seconds",),
    "stop_instance": ("port",),
    "start_instance": ("port", "pid"),
    "await_healthy": ("port",),
    "attach_instance": ("port",),
    "run_checks": ("verdict",),
    "arm_handle": ("weights", "seconds"),
    "shift_traffic": ("weights",),
    "mark_stable": ("services",),
    "promote_routes": ("api",),
    "write_report": ("services",),
}
"""By kind of action: what somebody reads later. The rest of a receipt is for people: times and durations."""
STRATEGIES = [{"kind": "blue_green"}, {"kind": "rolling", "batch": 1}, {"kind": "recreate", "hold": "30s"}]


class Forgetful:
    """A journal that loses the first receipt of every step, as a controller does that dies before it writes it."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.lost: dict[str, Values] = {}
        self.kept: dict[str, Values] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def receipt(self, lease: Any, deployment: str, key: str, values: Values) -> None:
        """Lose it, or keep the second."""
        if key in self.lost:
            self._inner.receipt(lease, deployment, key, values)
            self.kept[key] = values
        else:
            self.lost[key] = values


class ForgetfulRecords:
    """Records with such a journal."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.journal = Forgetful(inner.journal)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def asked(version: str, strategy: dict[str, Any]) -> DeploymentSpecification:
    """Something of everything; the second version asks for another port."""
    checks = [
        {"name": when.replace("_", "-"), "when": when, "probe": {"kind": "tcp"}}
        for when in ("before_traffic", "at_step")
    ]
    api = service(
        "api",
        version,
        deployment_strategy=strategy,
        scaling={"replicas": 2},
        configuration={"files": {"a.ini": version}},
        checks=checks if strategy["kind"] != "recreate" else [],
        port=8100 if version == "2.0" else None,
    )
    return specification(
        api,
        service("jobs", version, type="worker", dependencies=["api"]),
        service("web", "1.0", dependencies=["api"]),
        resource_requirements=[
            {"name": "data", "kind": "directory"},
            {"name": "scratch", "kind": "database", "temporary": True},
        ],
        rollback_procedures={"keep_previous_warm": "10m" if version == "1.0" else "0s"},
    )


def perform_twice(run: Run) -> None:
    """Every step of the plan; after each, the way back is the same as it was after the first time."""
    enter(run, DeploymentStatus.VALIDATING)
    make_plan(run)
    for status in (DeploymentStatus.PREPARING, DeploymentStatus.PROVISIONING, DeploymentStatus.DEPLOYING):
        enter(run, status)
    for phase in Phase:
        steps, done = run.plan.of_phase(phase), set[str]()
        while ready := ready_steps(steps, done, done):
            for step in ready:
                perform(run, step)
                once = plan_undo(run.plan, journal_of(run))
                del run.receipts[step.key]
                perform(run, step)
                assert plan_undo(run.plan, journal_of(run)) == once, step.key
                done.add(step.key)


def read(action: AnyAction, values: Values) -> dict[str, object]:
    """The part of a receipt that somebody reads."""
    return {name: values[name] for name in READ.get(action.kind, ()) if name in values}


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: str(strategy["kind"]))
@pytest.mark.parametrize("first", [True, False], ids=["first", "upgrade"])
def test_a_step_whose_receipt_was_lost_proves_the_same_when_it_is_performed_again(
    stage: Stage, strategy: dict[str, Any], first: bool
) -> None:
    version = "1.0" if first else "2.0"
    if not first:
        stage.deploy(asked("1.0", strategy))
    before = len(stage.supervisor.starts)
    records: Any = ForgetfulRecords(stage.records)
    with stage.held(asked(version, strategy), replace(stage.world(), records=records)) as (_, run):
        perform_twice(run)
        lost, kept = records.journal.lost, records.journal.kept
        assert set(lost) == set(kept) == {step.key for step in run.plan.steps}
        for step in run.plan.steps:
            assert read(step.action, kept[step.key]) == read(step.action, lost[step.key]), step.key
        starts = stage.supervisor.starts[before:]
        assert len(starts) == len(set(starts)), "nothing was started twice"
        assert stage.provisioner.created.count("production.data") == 1
    assert stage.revision("api") == {stage.revision_asked(asked(version, strategy), "api")}


def test_every_kind_of_action_says_what_is_read_of_its_receipt_or_that_nothing_is() -> None:
    nothing = {"release_traffic", "verify_integration", "bake", "disarm_handle"}
    nothing |= {"keep_warm", "retire_instance", "remove_temporary"}
    kinds = {field.default for kind in EFFECTS for field in fields(kind) if field.name == "kind"}  # type: ignore[arg-type]
    assert kinds == set(READ) | nothing
