"""What happens when HAProxy, its supervisor or a writer is killed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from deployments.adapters.haproxy.binary import find_haproxy
from deployments.adapters.haproxy.control import Control
from deployments.adapters.haproxy.files import ProxyFiles
from deployments.adapters.haproxy.proxy import HAProxy
from deployments.adapters.haproxy.rendering import LiveServer, LiveService, is_for_reload
from deployments.adapters.haproxy.runtime import Runtime
from deployments.adapters.supervisor import DataPlane
from deployments.domain.errors import ProxyUnavailable, Refused, StaleFence
from deployments.domain.ports import Endpoint, Program, RouteDeclaration
from tests.adapters.haproxy.conftest import FENCE
from tests.adapters.haproxy.test_traffic import ask
from tests.fakes.proxy_world import ENVIRONMENT, RealWorld, real_world
from tests.load import LoadGenerator
from tests.ports import free_port
from tests.waiting import until

FULL = 256
PROXY = f"haproxy-{ENVIRONMENT}"


def runtime(world: RealWorld) -> Runtime:
    return Runtime(world.run / f"{ENVIRONMENT}.proxy")


def files(world: RealWorld) -> ProxyFiles:
    return ProxyFiles(ENVIRONMENT, world.state, world.run)


def install_for_reload(world: RealWorld, routes: Sequence[RouteDeclaration], live: Mapping[str, LiveService]) -> None:
    """What a writer has done just before it asks for the reload."""
    control = Control(runtime(world))
    status = control.status()
    files(world).draft_for_reload(routes, live, status, fence=FENCE)
    assert control.install_for_reload(status.version, fence=FENCE)


def live_of(world: RealWorld, service: str = "web") -> dict[str, LiveService]:
    """What the running worker has of a service."""
    states = world.proxy.backends(service)
    servers = (LiveServer(state.endpoint.instance, state.endpoint.port, state.weight) for state in states)
    return {service: LiveService(tuple(servers))}


def test_a_killed_proxy_comes_back_with_the_stable_release(world: RealWorld, web: RouteDeclaration) -> None:
    world.proxy.attach("web", world.endpoint("web-2", "v2"), fence=FENCE)
    world.proxy.set_weights("web", {"web-2": FULL}, fence=FENCE)
    assert ask(web.port) == (200, "v2")
    world.crash()
    assert ask(web.port) == (200, "v1")
    world.proxy.ensure_running(fence=FENCE)
    assert [state.weight for state in world.proxy.backends("web")] == [FULL]


def test_a_proxy_that_outlived_its_supervisor_is_left_alone_and_stopped_in_the_end(
    world: RealWorld, web: RouteDeclaration
) -> None:
    world.proxy.attach("web", world.endpoint("web-2", "v2"), fence=FENCE)
    world.proxy.set_weights("web", {"web-2": FULL}, fence=FENCE)
    orphan = world.host.abandon(PROXY)
    world.proxy.ensure_running(fence=FENCE)
    assert runtime(world).processes().master == orphan
    assert ask(web.port) == (200, "v2")
    world.proxy.stop()
    with pytest.raises(ProxyUnavailable):
        world.proxy.backends("web")


def test_a_second_proxy_of_one_environment_waits_for_the_end_of_the_first(
    world: RealWorld, web: RouteDeclaration
) -> None:
    """A supervisor that started again starts its programs again, though those of the one before still run."""
    command, variables, log = world.host.started(PROXY)
    orphan = world.host.abandon(PROXY)
    world.host.ensure_service(PROXY, command, variables, log)
    assert ask(web.port) == (200, "v1")
    assert runtime(world).processes().master == orphan
    os.kill(orphan, signal.SIGKILL)
    until(lambda: world.answers() and runtime(world).processes().master == world.host.pid(PROXY), "the second to serve")
    assert ask(web.port) == (200, "v1")


def test_a_writer_killed_before_its_reload_leaves_a_file_that_starts_as_stable(
    world: RealWorld, web: RouteDeclaration
) -> None:
    """The file names a split for the worker that a reload would have started; a fresh start skips it."""
    live = {"web": LiveService((LiveServer("web-2", world.endpoint("web-2", "v2").port, FULL),))}
    install_for_reload(world, world.proxy.routes(), live)
    world.crash()
    assert ask(web.port) == (200, "v1")
    with pytest.raises(ProxyUnavailable):
        world.proxy.unhold("web", fence=FENCE)
    world.proxy.ensure_running(fence=FENCE)
    assert not is_for_reload(files(world).configuration.read_text())
    assert ask(web.port) == (200, "v1")


def test_a_route_that_was_written_and_not_loaded_is_loaded_by_the_same_call(
    world: RealWorld, web: RouteDeclaration
) -> None:
    """A writer was killed after it wrote the file: the proxy does not listen yet."""
    api = RouteDeclaration("api", free_port(), free_port(), (world.endpoint("api-1", "v1"),))
    files(world).draft((web, api), fence=FENCE)
    Control(runtime(world)).install_lasting(fence=FENCE)
    world.proxy.ensure_routes([api], fence=FENCE)
    assert ask(api.port) == (200, "v1")


def test_a_reload_that_fails_leaves_the_routes_as_they_were(world: RealWorld, web: RouteDeclaration) -> None:
    """The port was free when it was looked at; here it is one that no ordinary program can have."""
    reload = Runtime.reload
    taken = RouteDeclaration("api", free_port(), free_port())

    def take_then_reload(self: Runtime):  # type: ignore[no-untyped-def]  # as the original
        world.take_port(taken.port)
        return reload(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Runtime, "reload", take_then_reload)
        with pytest.raises(ProxyUnavailable, match="serves the old ones"):
            world.proxy.ensure_routes([taken], fence=FENCE)
    assert [route.service for route in world.proxy.routes()] == ["web"]
    assert ask(web.port) == (200, "v1")
    world.proxy.ensure_routes([RouteDeclaration("api", free_port(), free_port())], fence=FENCE)
    assert ask(web.port) == (200, "v1")


def test_a_proxy_whose_port_was_taken_meanwhile_does_not_start_and_says_which(world: RealWorld) -> None:
    route = RouteDeclaration("web", free_port(), free_port())
    world.proxy.ensure_routes([route], fence=FENCE)
    world.proxy.stop()
    world.take_port(route.port)
    with pytest.raises(Refused, match=rf"{route.port}.*web"):
        world.proxy.ensure_running(fence=FENCE)


def test_a_stale_controller_does_not_start_a_proxy_that_is_away(world: RealWorld) -> None:
    world.proxy.stop()
    with pytest.raises(StaleFence):
        world.proxy.ensure_running(fence=FENCE - 1)
    assert not world.host.service_is_running(PROXY)


def test_a_run_directory_too_long_for_a_socket_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with real_world() as other:
        proxy = HAProxy(ENVIRONMENT, tmp_path, tmp_path / ("long" * 30), other.host)
        with pytest.raises(Refused, match="shorter"):
            proxy.ensure_running(fence=1)


def test_paths_with_spaces_and_quotes_work(tmp_path: Path) -> None:
    with real_world() as other:
        proxy = HAProxy(ENVIRONMENT, tmp_path / "a 'quoted' \"path\" $HOME # x", other.run, other.host)
        proxy.ensure_running(fence=3)
        assert proxy.highest_fence() == 3


def test_hundreds_of_routes_are_one_reload(world: RealWorld, web: RouteDeclaration) -> None:
    routes = [RouteDeclaration(f"s-{number}", free_port(), free_port()) for number in range(200)]
    world.proxy.ensure_routes(routes, fence=FENCE)
    world.proxy.arm_handle({"web": {"web-1": FULL}} | {route.service: {} for route in routes}, LONG, fence=FENCE)
    assert len(world.proxy.routes()) == 201
    assert world.proxy.handle().is_armed
    world.proxy.remove_routes([route.service for route in routes], fence=FENCE)
    assert ask(web.port) == (200, "v1")


LONG = timedelta(minutes=10)


def test_under_the_data_planes_supervisor_it_survives_both_being_killed(data_plane: tuple[DataPlane, Path]) -> None:
    plane, directory = data_plane
    proxy = HAProxy(ENVIRONMENT, directory / "state", directory / "run", plane)
    route = RouteDeclaration("web", free_port(), free_port())
    proxy.ensure_running(fence=1)
    proxy.ensure_routes([route], fence=1)
    before = plane.service_identity(PROXY)
    assert before is not None
    os.kill(before.pid, signal.SIGKILL)
    until(lambda: (now := plane.service_identity(PROXY)) and now.pid != before.pid, "the supervisor to start it again")
    proxy.ensure_running(fence=1)
    assert proxy.routes() == (route,)
    proxy.ensure_routes([RouteDeclaration("api", free_port(), free_port())], fence=1)
    proxy.stop()
    assert not plane.service_is_running(PROXY)


def test_a_lease_above_all_fences_on_disk_is_admitted_after_an_older_database_was_restored(
    data_plane: tuple[DataPlane, Path],
) -> None:
    plane, directory = data_plane
    proxy = HAProxy(ENVIRONMENT, directory / "state", directory / "run", plane)
    proxy.ensure_running(fence=9)
    plane.ensure_started(sleeper("web-1", directory), fence=12)
    lease = max(proxy.highest_fence(), plane.highest_fence("shop/production"), 3) + 1
    proxy.ensure_running(fence=lease)
    proxy.ensure_routes([RouteDeclaration("web", free_port(), free_port())], fence=lease)
    plane.ensure_stopped("web-1", grace=timedelta(seconds=10), fence=lease)
    assert (proxy.highest_fence(), plane.highest_fence("shop/production")) == (13, 13)


def sleeper(instance: str, directory: Path) -> Program:
    return Program(
        instance=instance,
        project_environment="shop/production",
        service="web",
        revision="r1",
        command=("/bin/sh", "-c", "exec sleep 1000"),
        directory=directory,
        environment={"PATH": os.defpath},
        port=None,
        log=directory / "instance.log",
    )


@pytest.mark.parametrize("content", ["", "\0\0"])
def test_a_fence_that_the_disk_lost_is_still_known_to_the_running_proxy(
    world: RealWorld, web: RouteDeclaration, content: str
) -> None:
    files(world).fence.write_text(content)
    with pytest.raises(StaleFence):
        world.proxy.unhold("web", fence=FENCE - 1)
    world.proxy.unhold("web", fence=FENCE + 1)
    assert world.proxy.highest_fence() == FENCE + 1


def test_a_fence_that_the_disk_lost_with_the_proxy_needs_no_person(world: RealWorld, web: RouteDeclaration) -> None:
    """A loss of power: no writer of before is left, and the next lease comes from the store."""
    files(world).fence.write_text("")
    world.crash()
    world.proxy.ensure_running(fence=FENCE + 1)
    world.proxy.unhold("web", fence=FENCE + 1)
    assert (world.proxy.highest_fence(), ask(web.port)) == (FENCE + 1, (200, "v1"))


def test_the_program_is_the_setting_then_the_wheel(tmp_path: Path) -> None:
    program = find_haproxy()
    assert "2.8" in subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stdout
    assert find_haproxy(program) == program
    with pytest.raises(Refused, match="no-such"):
        find_haproxy(tmp_path / "no-such")


def test_a_killed_proxy_is_noticed_only_while_it_is_away(world: RealWorld, web: RouteDeclaration) -> None:
    """The one loss that nothing in the proxy can prevent; it ends by itself."""
    with LoadGenerator(f"http://127.0.0.1:{web.port}/", rate=50) as load:
        load.wait_for(20)
        world.crash()
        until(lambda: ask(web.port) == (200, "v1"), "the stable release to answer")
        failed = load.report().failed
        load.wait_for(40)
    assert load.report().failed <= failed + 8  # those in flight on each connection when it was killed


def test_instances_keep_their_revision_when_they_come_back_stable(world: RealWorld) -> None:
    with pytest.raises(Refused):
        world.proxy.ensure_routes([RouteDeclaration("web", 0, free_port())], fence=FENCE)
    stable = Endpoint("web-1", 9, 'sha256:"quoted" \\ and\nmore')
    world.proxy.ensure_routes([RouteDeclaration("web", free_port(), free_port(), (stable,))], fence=FENCE)
    assert world.proxy.backends("web")[0].endpoint == stable
    assert world.proxy.routes()[0].stable == (stable,)
