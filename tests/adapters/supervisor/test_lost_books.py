"""A supervisor whose records were lost while its processes live: they are found by their marks, never doubled."""

from __future__ import annotations

import os
import shutil
import signal
from datetime import timedelta
from pathlib import Path

from deployments.adapters.supervisor.identity import ProcessIdentity, find_by_environment, leader_of
from deployments.domain.ports import InstanceState
from tests.adapters.supervisor.worlds import World, is_alive, wait_until

ENVIRONMENT = {"PATH": os.defpath}
SLEEPS = ("/bin/sh", "-c", "exec sleep 1000")
WITH_WORKERS = ("/bin/sh", "-c", "sleep 1000 & sleep 1000 & wait")
"""Like HAProxy: a master, and workers in its group that carry the same marks."""


def lose_books(world: World) -> None:
    """The supervisor is gone and so are its records; the next one finds only what lives."""
    world.kill_daemon()
    shutil.rmtree(world.state / "processes")
    world.plane.ensure_running()


def marked(world: World, name: str) -> list[ProcessIdentity]:
    return find_by_environment({"FAIRLEAD_INSTANCE": name, "FAIRLEAD_SUPERVISOR": str(world.state)})


def test_an_instance_that_lives_is_taken_over_and_not_doubled(world: World) -> None:
    pid = world.start()
    lose_books(world)
    assert world.start() == pid
    assert [identity.pid for identity in marked(world, "api-1")] == [pid]


def test_what_was_taken_over_is_in_the_books_again(world: World) -> None:
    pid = world.start()
    lose_books(world)
    world.start()
    world.kill_daemon()
    assert world.plane.observe("api-1").pid == pid
    world.plane.ensure_running()
    assert world.plane.observe("api-1").pid == pid


def test_what_was_taken_over_can_be_stopped_with_its_children(world: World) -> None:
    world.start(command=WITH_WORKERS)
    wait_until(lambda: len(marked(world, "api-1")) == 3, "the workers")
    family = [identity.pid for identity in marked(world, "api-1")]
    lose_books(world)
    world.start(command=WITH_WORKERS)
    world.stop()
    assert not any(map(is_alive, family))
    assert world.state_of() is InstanceState.UNKNOWN


def test_what_was_taken_over_and_crashes_later_is_restarted(settled_world: World) -> None:
    pid = settled_world.start()
    lose_books(settled_world)
    assert settled_world.start() == pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: settled_world.plane.observe("api-1").restarts == 1, "the restart")


def test_a_service_with_workers_is_taken_over_by_its_master(world: World) -> None:
    world.plane.ensure_service("proxy", WITH_WORKERS, ENVIRONMENT, world.log)
    wait_until(lambda: len(marked(world, "proxy")) == 3, "the workers")
    before = world.plane.service_identity("proxy")
    lose_books(world)
    assert world.plane.service_identity("proxy") == before
    world.plane.ensure_service("proxy", WITH_WORKERS, ENVIRONMENT, world.log)
    assert world.plane.service_identity("proxy") == before
    assert len(marked(world, "proxy")) == 3


def test_a_process_of_another_supervisor_is_not_taken(world: World, short_directory: Path) -> None:
    other = World(short_directory / "other", settle=timedelta(hours=1))
    other.directory.mkdir()
    try:
        pid = other.start()
        assert world.start() != pid
        assert is_alive(pid)
    finally:
        other.end()


def test_a_child_that_leads_a_group_of_its_own_is_not_the_leader(world: World) -> None:
    pid = world.start(script="setsid sleep 1000 & wait")
    wait_until(lambda: len(marked(world, "api-1")) == 2, "the child")
    leader = leader_of(marked(world, "api-1"))
    assert leader is not None
    assert leader.pid == pid


def test_a_child_that_outlived_its_leader_is_not_taken_for_it(world: World) -> None:
    """A runner that was stopped leaves a run behind; the next runner is no such run."""
    started_one = ("/bin/sh", "-c", "setsid sleep 1000 & wait")
    world.plane.ensure_service("runner", started_one, ENVIRONMENT, world.log)
    wait_until(lambda: len(marked(world, "runner")) == 2, "the run")
    first = world.plane.service_identity("runner")
    world.plane.stop_service("runner")
    (run,) = marked(world, "runner")
    try:
        lose_books(world)
        world.plane.ensure_service("runner", SLEEPS, ENVIRONMENT, world.log)
        wait_until(lambda: world.plane.service_identity("runner") not in (None, first), "the next runner")
        assert world.plane.service_identity("runner") != run
    finally:
        run.kill()


def test_nobody_leads_where_nobody_is_marked() -> None:
    assert leader_of([]) is None


def test_what_lives_is_observed_although_nobody_asked_to_start_it(world: World) -> None:
    pid = world.start(environment={**ENVIRONMENT, "PORT": "12345"}, port=12345)
    before = world.plane.observe("api-1")
    lose_books(world)
    assert world.plane.observe_all(world.project_environment) == (before,)
    assert before.pid == pid


def test_what_lives_can_be_stopped_although_nobody_asked_to_start_it(world: World) -> None:
    pids = [world.start("api-1", command=WITH_WORKERS), world.start("api-2")]
    world.plane.ensure_service("proxy", WITH_WORKERS, ENVIRONMENT, world.log)
    wait_until(lambda: len(marked(world, "proxy")) == 3, "the workers")
    pids += [identity.pid for identity in marked(world, "proxy")]
    lose_books(world)
    world.stop("api-1")
    assert sorted(world.plane.stop()) == ["instance api-2", "service proxy"]
    assert not any(map(is_alive, pids))


def test_what_lives_and_ends_before_somebody_said_how_to_start_it_stays_ended(settled_world: World) -> None:
    pid = settled_world.start()
    lose_books(settled_world)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: settled_world.state_of() is InstanceState.EXITED, "the end")
    settled_world.kill_daemon()
    settled_world.plane.ensure_running()
    assert settled_world.state_of() is InstanceState.EXITED
    assert settled_world.start() != pid
    assert settled_world.state_of() is InstanceState.RUNNING


def test_books_that_were_kept_are_not_touched(world: World) -> None:
    world.start()
    before = (world.state / "processes" / "instance:api-1.json").read_text()
    world.kill_daemon()
    world.plane.ensure_running()
    assert (world.state / "processes" / "instance:api-1.json").read_text() == before
