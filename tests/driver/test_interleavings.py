"""Controllers that meet: takers, former holders, repairs and machines that share records, in the least lucky order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from deployments.domain.codec import program_from_json
from deployments.domain.entities import InstanceLife
from deployments.domain.errors import DeploymentError, StaleFence
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.status import DeploymentStatus, Reason
from deployments.driver import queueing
from deployments.driver.conducting import Conductor, operating_system_user
from deployments.driver.keeping import LeaseKeeper
from deployments.driver.opening import Request, open_deployment, take_lease
from deployments.driver.reconciling import reconcile_one, resume_rollback, retire_due
from deployments.driver.run import Run
from deployments.store.commands import CommandKind
from tests.driver.stage import ENVIRONMENT, Killed, Reaper, Stage, specification
from tests.driver.test_taking_over import RESUMES, number_of, upgrade


class Interposed:
    """An object of which one call is followed by something that another process does."""

    def __init__(self, inner: object, name: str, *, after: Callable[[], object]) -> None:
        self._inner, self._name, self._after = inner, name, after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name != self._name:
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            result = found(*arguments, **named)
            self._after()
            return result

        return call


def once(what: Callable[[], object]) -> Callable[[], object]:
    """It, the first time only."""
    left = [what]
    return lambda: left.pop()() if left else None


@pytest.fixture
def elsewhere(fresh_database_url: str, tmp_path: Path) -> Any:
    """Another machine that shares the records and has a data plane of its own."""
    found = Stage(fresh_database_url, tmp_path)
    yield found
    found.close()


# Machines ------------------------------------------------------------------------------------------------------------


def test_a_lost_deployment_is_taken_over_by_no_machine_that_never_had_its_data_plane(
    stage: Stage, elsewhere: Stage
) -> None:
    stage.deploy(specification())
    at = number_of(stage, "proxy.set_weights")
    old = stage.revision("api")
    stage.deploy(upgrade(), Reaper(kill_at=at, after=True))

    reconcile_one(elsewhere.world(), ENVIRONMENT)

    assert not stage.last().is_final
    assert elsewhere.proxy.highest_fence() == 0
    stage.reconcile()
    assert stage.last().status is DeploymentStatus.ROLLED_BACK
    assert stage.revision("api") == old


def test_what_was_warm_is_retired_by_no_machine_that_never_had_its_data_plane(stage: Stage, elsewhere: Stage) -> None:
    stage.deploy(specification())
    stage.deploy(upgrade())
    end_warm_time(stage)

    reconcile_one(elsewhere.world(), ENVIRONMENT)

    assert elsewhere.proxy.highest_fence() == 0
    assert InstanceLife.WARM in lives(stage)


def test_one_that_was_lost_before_its_data_plane_ever_started_ends_and_starts_none(stage: Stage) -> None:
    open_one(stage, upgrade())
    stage.expire_leases()

    stage.reconcile()

    assert stage.last().status is DeploymentStatus.FAILED
    assert stage.last().reason is Reason.CONTROLLER_LOST
    assert stage.records.leases.holder(ENVIRONMENT) is None
    assert stage.proxy.highest_fence() == 0


# Takers --------------------------------------------------------------------------------------------------------------


def test_nobody_begins_beside_one_that_is_lost_between_the_look_and_the_lease(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.deploy(specification())
    stage.deploy(upgrade(), Reaper(kill_at=number_of(stage, "proxy.set_weights"), after=True))
    lost = stage.last().id
    with stage.engine.begin() as connection:
        connection.execute(text("update fairlead.leases set expires_at = clock_timestamp() + interval '5 seconds'"))
    expire = once(stage.expire_leases)

    def late(*arguments: Any) -> Any:
        expire()
        return take_lease(*arguments)

    monkeypatch.setattr(queueing, "take_lease", late)
    stage.deploy(upgrade("3.0"))

    ended = stage.records.deployments.get(lost)
    assert ended.status is DeploymentStatus.ROLLED_BACK
    assert ended.finished_at is not None
    assert ended.finished_at < stage.records.journal.entries(stage.last().id)[0].intended_at
    assert stage.last().status is DeploymentStatus.COMPLETED
    assert stage.revision("api") == {stage.revision_asked(upgrade("3.0"), "api")}


def test_one_that_was_ended_while_its_process_stood_still_in_the_queue_does_not_begin(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.deploy(specification())

    def stopped_meanwhile(*arguments: Any) -> Any:
        stage.expire_leases()
        stage.reconcile()
        return take_lease(*arguments)

    monkeypatch.setattr(queueing, "take_lease", stopped_meanwhile)
    with pytest.raises(DeploymentError, match="has ended"):
        Conductor(stage.world()).begin(upgrade(), None, stage.base, None)

    assert stage.last().status is DeploymentStatus.FAILED
    assert stage.records.leases.holder(ENVIRONMENT) is None


def test_warm_instances_that_a_rollback_has_made_stable_meanwhile_are_not_retired(stage: Stage) -> None:
    stage.deploy(specification())
    stage.deploy(upgrade())
    end_warm_time(stage)
    world = stage.world()
    records: Any = world.records
    back = once(lambda: stage.deploy(specification(), is_rollback=True))
    records.instances = Interposed(records.instances, "due_for_retirement", after=back)

    retire_due(world, ENVIRONMENT)

    serving = {endpoint.instance for endpoint in stage.records.stables.current(ENVIRONMENT)["api"].endpoints}
    assert serving <= set(stage.supervisor.running())
    assert {i.id for i in stage.records.instances.of_environment(ENVIRONMENT)} >= serving


def test_nothing_is_retired_while_a_lost_deployment_may_need_it(stage: Stage) -> None:
    stage.deploy(specification())
    stage.deploy(upgrade())
    end_warm_time(stage)
    at = len(stage.supervisor.running())
    stage.deploy(specification(), Reaper(kill_at=12), is_rollback=True)

    assert retire_due(stage.world(), ENVIRONMENT) == []
    assert len(stage.supervisor.running()) == at


def test_a_way_back_is_not_resumed_beside_a_deployment_that_is_lost(stage: Stage) -> None:
    stage.deploy(specification())
    asked = upgrade(rollback_procedures={"automatic": False})
    stage.supervisor.exits_on_start("api", revision=stage.revision_asked(asked, "api"))
    stage.deploy(asked)
    waiting = stage.last()
    assert waiting.status is DeploymentStatus.ROLLBACK_FAILED
    stage.deploy(upgrade("3.0"), Reaper(kill_at=number_of(stage, "proxy.set_weights"), after=True))
    lost = stage.last().id

    resume_rollback(stage.world(), waiting.id)

    assert stage.records.deployments.get(lost).status is DeploymentStatus.ROLLED_BACK
    assert stage.records.deployments.get(waiting.id).status is DeploymentStatus.ROLLED_BACK


def test_one_that_was_lost_in_the_queue_does_not_go_on_over_what_became_stable_since(stage: Stage) -> None:
    stage.deploy(specification())
    open_one(stage, upgrade("3.0", **RESUMES))
    lost = stage.last().id
    stage.deploy(upgrade("2.0"))
    stage.expire_leases()

    stage.reconcile()

    assert stage.records.deployments.get(lost).reason is Reason.CONTROLLER_LOST
    assert stage.revision("api") == {stage.revision_asked(upgrade("2.0"), "api")}


def test_a_way_back_that_a_person_resumed_and_whose_process_died_needs_the_person_no_second_time(stage: Stage) -> None:
    stage.deploy(specification())
    asked = upgrade(rollback_procedures={"automatic": False})
    stage.supervisor.exits_on_start("api", revision=stage.revision_asked(asked, "api"))
    stage.deploy(asked)
    assert stage.last().status is DeploymentStatus.ROLLBACK_FAILED
    with pytest.raises(Killed):
        resume_rollback(stage.world(Reaper(kill_at=2)), stage.last().id)
    stage.expire_leases()

    stage.reconcile()

    assert stage.last().status is DeploymentStatus.ROLLED_BACK


def test_a_way_back_is_not_overtaken_by_what_was_stable_before_it_began(stage: Stage) -> None:
    stage.deploy(specification())
    asked = upgrade(
        rollback_procedures={"automatic": False},
        resource_requirements=[{"name": "scratch", "kind": "directory"}],
    )
    stage.supervisor.exits_on_start("api", revision=stage.revision_asked(asked, "api"))
    stage.deploy(asked)
    with stage.engine.begin() as connection:  # it was opened first, and waited in the queue
        connection.execute(
            text("update fairlead.deployments set created_at = created_at - interval '1 hour' where id = :id"),
            {"id": stage.last().id},
        )
    failed = next(d for d in stage.records.queries.history(limit=2) if d.status is DeploymentStatus.ROLLBACK_FAILED)

    resume_rollback(stage.world(), failed.id)

    assert stage.records.deployments.get(failed.id).status is DeploymentStatus.ROLLED_BACK
    assert stage.records.resources.of_environment(ENVIRONMENT) == []


def test_a_start_that_was_stopped_on_its_way_and_comes_after_the_way_back_is_refused(stage: Stage) -> None:
    stage.deploy(specification())
    at = number_of(stage, "supervisor.ensure_started")
    highest = stage.proxy.highest_fence()
    running = stage.supervisor.running()
    stage.deploy(upgrade(), Reaper(kill_at=at))
    instance = stage.records.instances.of_deployment(stage.last().id)[0]
    stage.reconcile()

    with pytest.raises(StaleFence):
        stage.supervisor.ensure_started(program_from_json(instance.program), fence=highest + 1)

    assert stage.supervisor.running() == running


# Cancelling ----------------------------------------------------------------------------------------------------------


def test_an_order_to_cancel_that_is_read_while_the_way_back_begins_does_not_interrupt_it(stage: Stage) -> None:
    with stage.held(upgrade()) as (_, run):
        stage.records.commands.request(run.deployment, CommandKind.CANCEL, by="ada")
        keeper = LeaseKeeper(run)
        commands: Any = Interposed(stage.records.commands, "pending", after=lambda: begin_way_back(run))
        keeper._records = Replaced(keeper._records, commands=commands)  # type: ignore[assignment]

        keeper._obey_commands()

        run.interruption.check()


def test_an_order_to_cancel_survives_a_controller_that_dies_while_it_obeys(stage: Stage) -> None:
    stage.deploy(specification())
    stage.deploy(upgrade(**RESUMES), Reaper(kill_at=number_of(stage, "proxy.attach")))
    stage.records.commands.request(stage.last().id, CommandKind.CANCEL, by="ada")
    reaper = Reaper(kill_at=1)  # the first write of the way back: failing and its plan
    with pytest.raises(Killed):
        stage.reconcile(reaper)
    assert reaper.writes == ["deployments.fail_and_plan_undo"]
    stage.expire_leases()

    stage.reconcile()

    assert stage.last().status is DeploymentStatus.ROLLED_BACK
    assert stage.last().reason is Reason.CANCELLED
    assert stage.records.commands.pending(stage.last().id) is None


def test_a_renewal_that_meets_our_own_higher_fence_interrupts_nothing(stage: Stage) -> None:
    with stage.held(upgrade()) as (_, run):
        taken = stage.records.leases.refence(run.lease)  # its answer is on its way
        LeaseKeeper(run)._renew()

        run.interruption.check()
        run.lease = taken


# Machines that restart, clocks that jump -----------------------------------------------------------------------------


def test_a_machine_that_restarts_between_stable_and_promotion_serves_the_new_release(stage: Stage) -> None:
    stage.deploy(specification())
    stage.deploy(upgrade(), Reaper(kill_at=number_of(stage, "stables.mark"), after=True))
    stage.proxy.kill()
    for report in stage.supervisor.reports():
        stage.supervisor.lose(report.instance)

    stage.reconcile()

    assert stage.last().status is DeploymentStatus.COMPLETED
    assert set(stage.serving("api")) <= set(stage.supervisor.running())


def test_a_clock_that_was_set_back_makes_nobody_wait_for_a_dead_holder(stage: Stage) -> None:
    stage.deploy(specification())
    with stage.engine.begin() as connection:
        later = "expires_at = clock_timestamp() + interval '1 hour'"
        connection.execute(text(f"update fairlead.leases set owner = 'dead', {later}"))

    assert stage.records.leases.holder(ENVIRONMENT) is None
    stage.deploy(upgrade())

    assert stage.last().status is DeploymentStatus.COMPLETED


# ---------------------------------------------------------------------------------------------------------------------


class Replaced:
    """Records with one repository replaced."""

    def __init__(self, inner: object, **others: object) -> None:
        self._inner, self._others = inner, others

    def __getattr__(self, name: str) -> Any:
        return self._others.get(name) or getattr(self._inner, name)


def begin_way_back(run: Run) -> None:
    """What `fail` does first."""
    run.is_past_cancelling = True
    run.interruption.clear()


def open_one(stage: Stage, asked: DeploymentSpecification) -> None:
    """A deployment whose process is killed before it has the lease."""
    world = stage.world()
    world.records.environments.ensure_default(ENVIRONMENT, project="shop", principal=operating_system_user().name)
    open_deployment(world, Request(asked, operating_system_user(), stage.base))


def end_warm_time(stage: Stage) -> None:
    """Let the time pass for which previous releases are kept warm."""
    with stage.engine.begin() as connection:
        past = "clock_timestamp() - interval '1 second'"
        connection.execute(text(f"update fairlead.instances set retire_at = {past} where retire_at is not null"))


def lives(stage: Stage) -> set[InstanceLife]:
    """Where the instances are in their lives."""
    return {instance.state for instance in stage.records.instances.of_environment(ENVIRONMENT)}
