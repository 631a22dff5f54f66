"""Services (proxy, meter, database) under a real supervisord."""

from __future__ import annotations

import os
import signal

from tests.adapters.supervisor.worlds import World, is_alive, wait_until

SLEEP = ("/bin/sh", "-c", "exec sleep 1000")
ENVIRONMENT = {"PATH": os.defpath}


def pid_of(world: World, name: str = "proxy") -> int:
    identity = world.plane.service_identity(name)
    return identity.pid if identity else 0


def test_a_service_runs_once_however_often_it_is_asked_for(world: World) -> None:
    world.plane.ensure_service("proxy", SLEEP, ENVIRONMENT, world.log)
    wait_until(lambda: world.plane.service_is_running("proxy"), "the start")
    pid = pid_of(world)
    world.plane.ensure_service("proxy", SLEEP, ENVIRONMENT, world.log)
    assert pid_of(world) == pid


def test_a_service_that_ends_is_restarted_even_right_after_its_start(world: World) -> None:
    world.plane.ensure_service("proxy", SLEEP, ENVIRONMENT, world.log)
    wait_until(lambda: world.plane.service_is_running("proxy"), "the start")
    first = pid_of(world)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: pid_of(world) not in (0, first), "the next life")


def test_a_stopped_service_is_gone(world: World) -> None:
    world.plane.ensure_service("proxy", SLEEP, ENVIRONMENT, world.log)
    wait_until(lambda: world.plane.service_is_running("proxy"), "the start")
    pid = pid_of(world)
    world.plane.stop_service("proxy")
    assert not is_alive(pid)
    assert not world.plane.service_is_running("proxy")
    world.plane.stop_service("proxy")


def test_a_service_is_stopped_with_the_signal_it_asks_for(world: World) -> None:
    script = "trap 'echo int; exit 0' INT; echo up; while :; do sleep 0.05; done"
    world.plane.ensure_service("database", ("/bin/sh", "-c", script), ENVIRONMENT, world.log, stop_signal="INT")
    wait_until(lambda: world.log.exists() and "up" in world.log.read_text(), "the trap")
    world.plane.stop_service("database")
    assert world.log.read_text().endswith("int\n")


def test_a_service_survives_the_supervisor_and_is_found_again(world: World) -> None:
    world.plane.ensure_service("proxy", SLEEP, ENVIRONMENT, world.log)
    wait_until(lambda: world.plane.service_is_running("proxy"), "the start")
    pid = pid_of(world)
    world.kill_daemon()
    assert world.plane.service_is_running("proxy")
    world.plane.ensure_service("proxy", SLEEP, ENVIRONMENT, world.log)
    assert pid_of(world) == pid


def test_services_are_no_instances_of_any_environment(world: World) -> None:
    world.plane.ensure_service("proxy", SLEEP, ENVIRONMENT, world.log)
    assert world.plane.observe_all("") == ()


def test_stopping_everything_says_what_it_stopped_and_leaves_nothing(world: World) -> None:
    world.plane.ensure_service("proxy", SLEEP, ENVIRONMENT, world.log)
    pids = [world.start("api-1"), world.start("api-2")]
    wait_until(lambda: world.plane.service_is_running("proxy"), "the start")
    pids += [pid_of(world), world.daemon_pid()]
    assert sorted(world.plane.stop()) == ["instance api-1", "instance api-2", "service proxy"]
    assert not any(map(is_alive, pids))
    assert world.plane.stop() == []
    assert not list((world.state / "processes").iterdir())


def test_stopping_everything_also_ends_survivors(world: World) -> None:
    pid = world.start("api-1")
    world.kill_daemon()
    assert world.plane.stop() == ["instance api-1"]
    assert not is_alive(pid)


def test_a_terminated_supervisor_stops_its_processes_and_the_next_one_brings_services_back(world: World) -> None:
    world.plane.ensure_service("proxy", SLEEP, ENVIRONMENT, world.log)
    wait_until(lambda: world.plane.service_is_running("proxy"), "the start")
    pids = [pid_of(world), world.daemon_pid()]
    os.kill(pids[1], signal.SIGTERM)
    wait_until(lambda: not any(map(is_alive, pids)), "the end of both")
    world.plane.ensure_running()
    wait_until(lambda: world.plane.service_is_running("proxy"), "the next life")
