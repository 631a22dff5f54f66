"""A way back on which the outside refuses for good: it ends with what is left for a person, and goes on when told."""

from __future__ import annotations

import pytest

from deployments.domain.errors import Broken
from deployments.domain.status import DeploymentStatus, Reason
from deployments.driver.reconciling import resume_rollback
from tests.driver.stage import ENVIRONMENT, Stage, service, specification

CONTACT = {"emergency_procedures": {"contact": "on-call@example.org"}}


def failing(stage: Stage) -> None:
    """An upgrade whose second service ends at its start, where the first one's new instance cannot be stopped."""
    stage.deploy(specification(service("api", "1.0"), service("web", "1.0", dependencies=["api"])))
    wanted = specification(service("api", "2.0"), service("web", "2.0", dependencies=["api"]), **CONTACT)
    stage.supervisor.exits_on_start("web", revision=stage.revision_asked(wanted, "web"))
    refuse_to_stop(stage)
    stage.deploy(wanted)


def refuse_to_stop(stage: Stage) -> None:
    """The supervisor refuses to stop what serves nobody."""

    def refuse(instance: str, **_: object) -> None:
        raise Broken(f"{instance} cannot be signalled.")

    stage.supervisor.ensure_stopped = refuse  # type: ignore[method-assign]


def left_of(stage: Stage) -> list[str]:
    """The undo steps without a receipt."""
    done = {entry.key for entry in stage.records.journal.entries(stage.last().id) if entry.is_done}
    planned = [str(step["key"]) for step in stage.records.deployments.undo_plan(stage.last().id)]
    return [key for key in planned if key not in done]


def test_it_ends_in_rollback_failed_with_exactly_the_steps_that_are_left_and_the_traffic_back(stage: Stage) -> None:
    failing(stage)

    old = stage.records.stables.current(ENVIRONMENT)
    last = stage.last()
    assert (last.status, last.reason) == (DeploymentStatus.ROLLBACK_FAILED, Reason.UNDO_FAILED)
    assert left_of(stage)
    assert f"Left to do: {', '.join(left_of(stage))}." in last.message
    assert last.message.endswith(f"fairlead rollback --resume {last.id}. Contact: on-call@example.org.")
    assert {name: stage.revision(name) for name in old} == {name: {one.revision} for name, one in old.items()}
    assert stage.records.leases.holder(ENVIRONMENT) is None


def test_nobody_takes_it_up_again_but_who_is_told_to_and_then_nothing_is_left(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = stage.supervisor.ensure_stopped
    failing(stage)
    waiting = stage.last()

    assert stage.reconcile() == []
    assert stage.last() == waiting
    monkeypatch.setattr(stage.supervisor, "ensure_stopped", stop)
    status = resume_rollback(stage.world(), waiting.id)

    assert status is DeploymentStatus.ROLLED_BACK
    assert left_of(stage) == []
    serving = {name for service in ("api", "web") for name in stage.serving(service)}
    assert set(stage.supervisor.running()) == serving
