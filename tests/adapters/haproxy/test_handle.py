"""The dead man's handle and whatever happens at the moment it fires: one right outcome each."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from deployments.adapters.haproxy.proxy import HAProxy
from deployments.adapters.supervisor import DataPlane
from deployments.domain.errors import Conflict, DeploymentError, HandleTripped, ProxyUnavailable, StaleFence
from deployments.domain.ports import Endpoint, Program, RouteDeclaration
from tests.adapters.haproxy.conftest import FENCE
from tests.adapters.haproxy.test_processes import FULL, install_for_reload, live_of, runtime
from tests.adapters.haproxy.test_traffic import ask
from tests.fakes.proxy_world import ENVIRONMENT, RealWorld
from tests.ports import free_port
from tests.waiting import until

SOON, LONG = timedelta(milliseconds=600), timedelta(minutes=10)
STABLE, SPLIT = {"web-1": FULL}, {"web-1": 128, "web-2": 128}
ROUNDS = 4


def weights(world: RealWorld, service: str = "web") -> dict[str, int]:
    return {state.endpoint.instance: state.weight for state in world.proxy.backends(service)}


def split(world: RealWorld, *, fence: int, time_to_live: timedelta) -> None:
    """As a controller begins: the way back first."""
    world.proxy.attach("web", Endpoint("web-2", world.backends["web-2"].port, "v2"), fence=fence)
    world.proxy.arm_handle({"web": STABLE}, time_to_live, fence=fence)
    world.proxy.set_weights("web", SPLIT, fence=fence)


@pytest.fixture
def newcomer(world: RealWorld, web: RouteDeclaration) -> RouteDeclaration:
    """`web`, with a second release that may be attached."""
    world.endpoint("web-2", "v2")
    return web


@contextmanager
def watched(world: RealWorld) -> Iterator[list[dict[str, int]]]:
    """Every split that could be seen meanwhile."""
    seen: list[dict[str, int]] = []
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(0.005):
            seen.append(weights(world))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()


def until_due(world: RealWorld) -> None:
    """The time to live is over; the handle fires within its next tick, or has fired."""
    until(lambda: world.proxy.handle().remaining == timedelta(0), "the time to live to pass")


def outcome(write: Callable[[], None]) -> type[DeploymentError] | None:
    try:
        write()
    except DeploymentError as problem:
        return type(problem)
    return None


@pytest.mark.usefixtures("newcomer")
def test_writers_that_race_with_the_handle_are_all_refused_in_the_end_and_never_leave_a_split(world: RealWorld) -> None:
    split(world, fence=FENCE, time_to_live=SOON)

    def write_until_refused(first: int) -> type[DeploymentError] | None:
        while True:
            now = outcome(lambda: world.proxy.set_weights("web", {"web-1": first, "web-2": 256 - first}, fence=FENCE))
            if now is not None:
                return now

    with watched(world) as seen, ThreadPoolExecutor() as pool:
        refused = list(pool.map(write_until_refused, (0, 10, 250, 256)))
    assert refused == [HandleTripped] * 4
    assert world.proxy.handle().has_fired
    assert weights(world) == {"web-1": FULL, "web-2": 0}
    assert all(any(by_instance.values()) for by_instance in seen)


@pytest.mark.usefixtures("newcomer")
def test_a_renewal_at_the_last_moment_is_in_force_or_is_refused(world: RealWorld) -> None:
    for fence in range(FENCE, FENCE + 2 * ROUNDS, 2):
        world.proxy.ensure_running(fence=fence)
        split(world, fence=fence, time_to_live=SOON)
        until_due(world)
        renewed = outcome(lambda fence=fence: world.proxy.renew_handle(LONG, fence=fence))  # type: ignore[misc]
        handle = world.proxy.handle()
        assert (renewed, handle.has_fired, handle.is_armed) in ((None, False, True), (HandleTripped, True, False))
        assert weights(world) == (SPLIT if renewed is None else {"web-1": FULL, "web-2": 0})
        assert world.proxy.highest_fence() == fence + (renewed is HandleTripped)
        world.proxy.disarm_handle(fence=fence + 1)


@pytest.mark.usefixtures("newcomer")
def test_one_disarmed_at_the_last_moment_stays_silent_or_has_fired(world: RealWorld) -> None:
    for fence in range(FENCE, FENCE + 2 * ROUNDS, 2):
        world.proxy.ensure_running(fence=fence)
        split(world, fence=fence, time_to_live=SOON)
        until_due(world)
        disarmed = outcome(lambda fence=fence: world.proxy.disarm_handle(fence=fence))  # type: ignore[misc]
        assert disarmed in (None, HandleTripped)
        assert world.proxy.handle().has_fired == (disarmed is HandleTripped)
        assert weights(world) == (SPLIT if disarmed is None else {"web-1": FULL, "web-2": 0})
        assert world.proxy.highest_fence() == fence + (disarmed is HandleTripped)
        world.proxy.disarm_handle(fence=fence + 1)


def test_a_reload_at_the_last_moment_keeps_no_split_alive(world: RealWorld, newcomer: RouteDeclaration) -> None:
    """The worker of before, the new one, or both find that the time is over."""
    for fence in range(FENCE, FENCE + 2 * ROUNDS, 2):
        world.proxy.ensure_running(fence=fence)
        split(world, fence=fence, time_to_live=SOON)
        until(lambda: world.proxy.handle().remaining < timedelta(milliseconds=50), "the time to live to pass")
        route = RouteDeclaration(f"api-{fence}", free_port(), free_port())
        loaded = outcome(lambda route=route, fence=fence: world.proxy.ensure_routes([route], fence=fence))  # type: ignore[misc]
        assert loaded in (None, HandleTripped)
        until(lambda: world.proxy.handle().has_fired, "the handle to fire")
        assert weights(world) == {"web-1": FULL, "web-2": 0}
        assert world.proxy.highest_fence() == fence + 1
        assert ask(newcomer.port) == (200, "v1")
        world.proxy.disarm_handle(fence=fence + 1)


@pytest.mark.usefixtures("newcomer")
def test_a_reload_leaves_the_time_that_was_left(world: RealWorld) -> None:
    split(world, fence=FENCE, time_to_live=LONG)
    before = world.proxy.handle()
    world.proxy.ensure_routes([RouteDeclaration("api", free_port(), free_port())], fence=FENCE)
    after = world.proxy.handle()
    assert (after.is_armed, after.fence) == (True, FENCE)
    assert timedelta(minutes=8) < after.remaining <= before.remaining


def test_a_reload_that_comes_after_it_fired_is_refused(world: RealWorld, newcomer: RouteDeclaration) -> None:
    """The writer was stopped just before it asked for the reload, with the split in its file."""
    split(world, fence=FENCE, time_to_live=SOON)
    install_for_reload(world, (newcomer,), live_of(world))
    until(lambda: world.proxy.handle().has_fired, "the handle to fire")
    assert runtime(world).reload().is_refused
    assert weights(world) == {"web-1": FULL, "web-2": 0}
    assert ask(newcomer.port) == (200, "v1")


def test_a_proxy_that_was_killed_is_stable_and_knows_of_no_handle(world: RealWorld, newcomer: RouteDeclaration) -> None:
    split(world, fence=FENCE, time_to_live=SOON)
    world.crash()
    assert ask(newcomer.port) == (200, "v1")
    assert outcome(lambda: world.proxy.renew_handle(LONG, fence=FENCE)) is ProxyUnavailable
    world.proxy.ensure_running(fence=FENCE)
    assert outcome(lambda: world.proxy.renew_handle(LONG, fence=FENCE)) is Conflict
    assert not world.proxy.handle().is_armed
    assert world.proxy.highest_fence() == FENCE


@pytest.mark.usefixtures("newcomer")
def test_one_environments_handle_leaves_another_environment_alone(world: RealWorld) -> None:
    other = HAProxy("staging", world.state, world.run, world.host)
    other.ensure_running(fence=2)
    stable, new = (Endpoint(f"api-{number}", world.backends[f"web-{number}"].port, "r") for number in (1, 2))
    other.ensure_routes([RouteDeclaration("web", free_port(), free_port(), (stable,))], fence=2)
    other.attach("web", new, fence=2)
    other.arm_handle({"web": {"api-1": FULL}}, LONG, fence=2)
    other.set_weights("web", {"api-1": 128, "api-2": 128}, fence=2)
    split(world, fence=FENCE, time_to_live=SOON)
    world.let_time_pass()
    assert [state.weight for state in other.backends("web")] == [128, 128]
    assert (other.handle().is_armed, other.highest_fence()) == (True, 2)
    other.renew_handle(LONG, fence=2)


SERVER = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Release(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("x-release", sys.argv[2]); self.end_headers()
HTTPServer(("127.0.0.1", int(sys.argv[1])), Release).serve_forever()
"""


def instance(name: str, directory: Path) -> Program:
    port = free_port()
    return Program(
        instance=name,
        project_environment="shop/production",
        service="web",
        revision=name,
        command=(sys.executable, "-I", "-c", SERVER, str(port), name),
        directory=directory,
        environment={"PATH": os.defpath},
        port=port,
        log=directory / "instance.log",
    )


def test_with_everything_killed_but_the_proxy_and_instances_traffic_returns(
    data_plane: tuple[DataPlane, Path],
) -> None:
    plane, directory = data_plane
    proxy = HAProxy(ENVIRONMENT, directory / "state", directory / "run", plane)
    proxy.ensure_running(fence=1)
    programs = [instance(name, directory) for name in ("web-1", "web-2")]
    old, new = (Endpoint(program.instance, program.port or 0, program.revision) for program in programs)
    for program in programs:
        plane.ensure_started(program, fence=1)
    web = RouteDeclaration("web", free_port(), free_port(), (old,))
    proxy.ensure_routes([web], fence=1)
    proxy.attach("web", new, fence=1)
    until(lambda: all(state.is_up for state in proxy.backends("web")), "both instances to be up")
    proxy.arm_handle({"web": {old.instance: FULL}}, timedelta(seconds=2), fence=1)
    proxy.set_weights("web", {new.instance: FULL}, fence=1)
    os.kill(int((directory / "r" / "supervisord.pid").read_text()), signal.SIGKILL)
    meter = plane.service_identity(f"meter-{ENVIRONMENT}")
    assert meter is not None
    meter.kill()
    assert ask(web.port) == (200, "web-2")
    until(lambda: proxy.highest_fence() == 2, "the handle to spend the fence")  # from disk: nobody is connected
    until(lambda: ask(web.port) == (200, "web-1"), "the old release to answer")
    assert {ask(web.port) for _ in range(10)} == {(200, "web-1")}
    with pytest.raises(StaleFence):
        proxy.set_weights("web", {new.instance: FULL}, fence=0)
