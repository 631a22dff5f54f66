"""A machine that was restarted, and books that were lost: real HAProxy, real supervisord, real PostgreSQL."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deployments.adapters.supervisor.data_plane import DataPlane
from deployments.adapters.supervisor.identity import ProcessIdentity, find_by_environment
from deployments.assembly import assemble
from deployments.domain.codec import program_from_json
from deployments.domain.ports import InstanceState
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.status import DeploymentStatus
from deployments.driver.conducting import Conductor
from deployments.driver.forward import go_forward
from deployments.driver.opening import take_lease
from deployments.driver.pausing import Pauses
from deployments.driver.repairing import repair_environment
from deployments.settings import Settings
from tests.cli.specifications import service, specification, write_site
from tests.waiting import until

ENVIRONMENT = "staging"


class Machine:
    """A home with two replicas of a site that serve, and the power to end everything in it."""

    def __init__(self, home: Path, run: Path, database_url: str, site: Path) -> None:
        environ = {"FAIRLEAD_HOME": str(home), "XDG_RUNTIME_DIR": str(run), "FAIRLEAD_DATABASE_URL": database_url}
        self.settings = Settings.read(environ)
        self.world = assemble(self.settings)
        self.state = home / "data-plane"
        self.site = site
        assert isinstance(self.world.supervisor, DataPlane)
        self.plane: DataPlane = self.world.supervisor

    def deploy(self, version: str) -> None:
        """All phases, as the flow goes through them."""
        write_site(self.site, f"version {version}")
        asked = specification(service(version=version, scaling={"replicas": 2}))
        conductor = Conductor(self.world)
        run = conductor.begin(DeploymentSpecification.model_validate(asked), None, self.site, None)
        try:
            go_forward(run)
        finally:
            conductor.leave(run)
        assert self.world.records.deployments.get(run.deployment).status is DeploymentStatus.COMPLETED

    def page(self) -> str | None:
        """What the public route answers."""
        (route,) = self.world.records.routes.of_environment(ENVIRONMENT)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{route.port}/", timeout=10) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            error.close()
            return None
        except OSError:
            return None

    def stable(self) -> dict[str, int | None]:
        """The stable instances that live, by name, with their process."""
        reports = self.plane.observe_all(ENVIRONMENT)
        names = {e.instance for e in self.world.records.stables.current(ENVIRONMENT)["web"].endpoints}
        return {r.instance: r.pid for r in reports if r.instance in names and r.state is InstanceState.RUNNING}

    def serving(self) -> set[str]:
        """The instances with weight."""
        return {b.endpoint.instance for b in self.world.proxy(ENVIRONMENT).backends("web") if b.weight}

    def processes(self) -> list[ProcessIdentity]:
        """Everything that the supervisor started."""
        return find_by_environment({"FAIRLEAD_SUPERVISOR": str(self.state)})

    def kill_supervisor(self) -> None:
        """SIGKILL; what it had started lives on."""
        pid = int((self.settings.run_directory / "data" / "supervisord.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        until(lambda: ProcessIdentity.of(pid) is None, "the supervisor's end")

    def kill_everything(self) -> None:
        """As when the power goes."""
        self.kill_supervisor()
        until(self._has_ended, "the end of everything")

    def _has_ended(self) -> bool:
        living = self.processes()
        for identity in living:
            identity.kill()
        return not living

    def repair(self) -> list[str]:
        """Rounds of the reconciler until one finds nothing to do."""
        done: list[str] = []

        def is_quiet() -> bool:
            found = repair_environment(self.world, ENVIRONMENT, pauses=Pauses())
            done.extend(found)
            return not found and self.world.records.leases.holder(ENVIRONMENT) is None

        until(is_quiet, "a round without anything to repair")
        return done

    def end(self) -> None:
        """Leave nothing running."""
        self.plane.stop()
        self.world.records.close()


@pytest.fixture
def machine(fresh_database_url: str, run_directory: Path, tmp_path: Path) -> Iterator[Machine]:
    """A machine on which version 1.0 is stable."""
    run = run_directory / tmp_path.name[-20:]
    run.mkdir(mode=0o700)
    machine = Machine(tmp_path / "home", run, fresh_database_url, tmp_path)
    try:
        machine.deploy("1.0")
        yield machine
    finally:
        machine.end()
        shutil.rmtree(run, ignore_errors=True)


@pytest.mark.parametrize("run_directory_is_kept", [True, False], ids=["run_directory_kept", "run_directory_gone"])
def test_after_a_restart_of_the_machine_the_stable_release_serves(
    machine: Machine, run_directory_is_kept: bool
) -> None:
    stable = machine.stable()
    machine.kill_everything()
    if not run_directory_is_kept:
        shutil.rmtree(machine.settings.run_directory)
    assert machine.page() is None

    machine.repair()

    assert machine.page() == "version 1.0"
    assert machine.stable().keys() == stable.keys() == machine.serving()
    assert machine.world.meter(ENVIRONMENT).read(since=machine.world.clock.now()).is_running


def test_after_a_restart_that_lost_the_supervisors_books_too_the_stable_release_serves(machine: Machine) -> None:
    stable = machine.stable()
    machine.kill_everything()
    shutil.rmtree(machine.state / "processes")

    machine.repair()

    assert machine.page() == "version 1.0"
    assert machine.stable().keys() == stable.keys() == machine.serving()


def test_a_supervisor_that_lost_its_books_finds_everything_again_and_nobody_notices(machine: Machine) -> None:
    before = {identity.pid for identity in machine.processes()}
    instances = machine.stable()
    services = [machine.plane.service_identity(f"{name}-{ENVIRONMENT}") for name in ("haproxy", "meter")]
    machine.kill_supervisor()
    shutil.rmtree(machine.state / "processes")

    with Watched(machine) as watched:
        machine.repair()
        watched.sees_another_answer()

    assert watched.bad == 0
    assert machine.stable() == instances
    assert {identity.pid for identity in machine.processes()} == before
    assert [machine.plane.service_identity(f"{name}-{ENVIRONMENT}") for name in ("haproxy", "meter")] == services


def test_an_instance_that_ends_after_the_books_were_lost_is_started_again(machine: Machine) -> None:
    instances = machine.stable()
    machine.kill_supervisor()
    shutil.rmtree(machine.state / "processes")
    machine.repair()
    gone = sorted(instances)[0]
    pid = instances[gone]
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: machine.plane.observe(gone).state is InstanceState.EXITED, "the end to be seen")

    machine.repair()

    assert machine.page() == "version 1.0"
    assert machine.stable().keys() == instances.keys() == machine.serving()


def test_a_proxy_with_an_old_file_and_a_process_of_nobody_are_put_right(machine: Machine) -> None:
    proxy = machine.world.proxy(ENVIRONMENT)
    old = {route.service: route.stable for route in proxy.routes()}
    machine.deploy("2.0")
    lease = take_lease(machine.world, ENVIRONMENT, "test")
    proxy.promote(old, fence=lease.fence)
    known = machine.world.records.instances.get(sorted(machine.stable())[0])
    port = machine.world.provisioner.free_port("stray")
    program = replace(program_from_json(known.program), instance="stray", port=port)
    machine.plane.ensure_started(program, fence=lease.fence)
    machine.world.records.leases.release(lease)
    identity = machine.plane.service_identity(f"haproxy-{ENVIRONMENT}")
    assert identity is not None
    identity.kill()
    until(lambda: machine.plane.service_identity(f"haproxy-{ENVIRONMENT}") not in (None, identity), "the next proxy")
    until(lambda: machine.page() == "version 1.0", "the old file to be served")

    done = machine.repair()

    assert machine.page() == "version 2.0"
    assert machine.serving() == machine.stable().keys()
    assert machine.plane.observe("stray").state is InstanceState.UNKNOWN
    assert {e.instance for e in proxy.routes()[0].stable} == machine.serving()
    assert any(line.startswith("stray stopped") for line in done), done


class Watched:
    """Somebody who asks for the page all the time."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.good, self.bad = machine, 0, 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def sees_another_answer(self) -> None:
        """One that was asked for after this call."""
        seen = self.good
        until(lambda: self.good > seen + 1, "another answer")

    def _ask(self) -> None:
        while not self._ended.wait(0.02):
            if self.machine.page() is None:
                self.bad += 1
            else:
                self.good += 1
