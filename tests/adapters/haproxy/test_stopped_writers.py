"""A writer that is stopped at any point, overtaken, and goes on: it is refused, and nobody waited for it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from deployments.adapters.haproxy.control import Control
from deployments.adapters.haproxy.rendering import LiveServer, LiveService, dynamic_server
from deployments.adapters.haproxy.runtime import CURRENT
from deployments.domain.errors import ProxyUnavailable
from deployments.domain.ports import RouteDeclaration
from tests.adapters.haproxy.conftest import FENCE
from tests.adapters.haproxy.test_processes import files, install_for_reload, runtime
from tests.adapters.haproxy.test_traffic import ask
from tests.adapters.haproxy.writer_that_stops import LONG
from tests.fakes.proxy_world import ENVIRONMENT, RealWorld, real_world
from tests.load import LoadGenerator
from tests.ports import free_port
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[3]
FULL = 256
TAKER = FENCE + 1


@dataclass
class Stopped:
    """A writer's process. It is stopped, or it came to its end first."""

    process: subprocess.Popen[str]
    is_stopped: bool

    def outcome(self) -> str:
        """Let it go on, and say what became of it."""
        self.process.send_signal(signal.SIGCONT)
        output, _ = self.process.communicate(timeout=60)
        return output.strip()


@contextmanager
def writer(world: RealWorld, action: str, arguments: Any, *, stops_before: int) -> Iterator[Stopped]:
    """A writer with FENCE that stops before the command of this number."""
    words = (world.state, world.run, FENCE, stops_before, action, json.dumps(arguments))
    command = [sys.executable, "-m", "tests.adapters.haproxy.writer_that_stops", *map(str, words)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            seen = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            assert seen is not None
            yield Stopped(process, is_stopped=seen.si_code == os.CLD_STOPPED)
        finally:
            process.kill()


@contextmanager
def prepared() -> Iterator[tuple[RealWorld, LoadGenerator]]:
    """`web` under load with three instances, one with weight; `worker` with none."""
    with real_world() as world:
        world.proxy.ensure_running(fence=FENCE)
        web = RouteDeclaration("web", free_port(), free_port(), (world.endpoint("web-1", "v1"),))
        world.proxy.ensure_routes([web, RouteDeclaration("worker", free_port(), free_port())], fence=FENCE)
        for number in (2, 3):
            world.proxy.attach("web", world.endpoint(f"web-{number}", f"v{number}"), fence=FENCE)
        with LoadGenerator(f"http://127.0.0.1:{web.port}/", rate=50) as load:
            load.wait_for(5)
            yield world, load


def take_over(world: RealWorld) -> None:
    """The least that a taker does."""
    world.proxy.ensure_running(fence=TAKER)


def take_over_and_change_everything(world: RealWorld) -> None:
    """What the stopped writer was about to touch, the taker touches."""
    take_over(world)
    again, other = world.endpoint("web-3", "v3"), world.endpoint("web-4", "v5")
    world.proxy.detach("web", "web-3", fence=TAKER)
    world.proxy.attach("web", again, fence=TAKER)
    if "web-4" not in {state.endpoint.instance for state in world.proxy.backends("web")}:
        world.proxy.attach("web", other, fence=TAKER)
    world.proxy.ensure_routes([RouteDeclaration("other", free_port(), free_port())], fence=TAKER)
    world.proxy.set_weights("web", {"web-1": 128, "web-3": 128}, fence=TAKER)
    world.proxy.arm_handle({"web": {"web-1": FULL}}, LONG, fence=TAKER)
    world.proxy.promote({"web": [again]}, fence=TAKER)


def everything(world: RealWorld) -> dict[str, Any]:
    """What a writer could have changed."""
    proxy = world.proxy
    directory = world.state / "proxy" / ENVIRONMENT
    worker = [line for line in runtime(world).ask("show info", worker=CURRENT).splitlines() if line.startswith("Pid:")]
    attached = {
        route.service: [(s.endpoint, s.weight) for s in proxy.backends(route.service)] for route in proxy.routes()
    }
    answers = [ask(route.port) for route in proxy.routes() if route.service == "web" for _ in range(4)]
    weighted = {endpoint.revision for endpoint, weight in attached["web"] if weight}
    return {
        "worker": worker,
        "configuration": (directory / "haproxy.cfg").read_text(),
        "handover": (directory / "handover.lua").exists(),
        "fence": proxy.highest_fence(),
        "attached": attached,
        "handle": (proxy.handle().is_armed, proxy.handle().has_fired, proxy.handle().fence),
        "statuses": {status for status, _ in answers},
        "strays": {release for _, release in answers} - weighted,
    }


def stopped_before_each_command(
    action: str, arguments: Callable[[RealWorld], Any], take: Callable[[RealWorld], None]
) -> int:
    """Stop a writer before its first command, then a new one before its second, to the last; how many there were."""
    for number in count(1):
        with prepared() as (world, load), writer(world, action, arguments(world), stops_before=number) as child:
            if not child.is_stopped:
                assert child.outcome() == "done"
                return number - 1
            take(world)
            before = everything(world)
            outcome = child.outcome()
            assert (number, outcome) == (number, "StaleFence")
            assert everything(world) == before
            load.wait_for(5)
            load.stop()
            assert load.report().failures == []
    raise AssertionError


@pytest.mark.parametrize("take", [take_over, take_over_and_change_everything])
@pytest.mark.parametrize(
    ("action", "arguments", "fewest"),
    [
        pytest.param("ensure_routes", lambda _: [free_port(), free_port()], 6, id="ensure_routes"),
        pytest.param("remove_routes", lambda _: None, 6, id="remove_routes"),
        pytest.param("promote", lambda world: world.backends["web-2"].port, 2, id="promote"),
        pytest.param("attach", lambda world: world.endpoint("web-4", "v4").port, 4, id="attach"),
        pytest.param("detach", lambda _: None, 4, id="detach"),
        pytest.param("set_weights", lambda _: None, 2, id="set_weights"),
        pytest.param("arm_handle", lambda _: None, 3, id="arm_handle"),
    ],
)
def test_a_writer_that_was_overtaken_while_it_was_stopped_is_refused_and_changes_nothing(
    action: str, arguments: Callable[[RealWorld], Any], fewest: int, take: Callable[[RealWorld], None]
) -> None:
    assert stopped_before_each_command(action, arguments, take) >= fewest


def test_a_reload_that_nobody_prepared_is_refused(world: RealWorld, web: RouteDeclaration) -> None:
    before = everything(world)
    assert runtime(world).reload().is_refused
    assert everything(world) == before


def test_a_reload_that_was_asked_for_twice_is_refused_the_second_time(world: RealWorld, web: RouteDeclaration) -> None:
    """The writer was killed after its reload: the file for it is still there."""
    live = {"web": LiveService((LiveServer("web-1", web.stable[0].port, FULL),))}
    install_for_reload(world, (web,), live)
    assert runtime(world).reload().is_done
    before = everything(world)
    assert runtime(world).reload().is_refused
    assert everything(world) == before


def test_a_newer_writer_withdraws_a_reload_that_is_still_to_come(world: RealWorld, web: RouteDeclaration) -> None:
    live = {"web": LiveService((LiveServer("web-1", web.stable[0].port, 7),))}
    install_for_reload(world, (web,), live)
    world.proxy.set_weights("web", {"web-1": 3}, fence=TAKER)
    assert runtime(world).reload().is_refused
    assert [state.weight for state in world.proxy.backends("web")] == [3]


def test_a_reload_from_before_a_restart_of_the_proxy_is_refused(world: RealWorld, web: RouteDeclaration) -> None:
    live = {"web": LiveService((LiveServer("web-1", web.stable[0].port, 7),))}
    install_for_reload(world, (web,), live)
    world.crash()
    assert runtime(world).reload().is_refused
    assert [state.weight for state in world.proxy.backends("web")] == [FULL]


def test_what_changed_since_the_handover_was_drafted_is_not_lost(world: RealWorld, web: RouteDeclaration) -> None:
    control = Control(runtime(world))
    status = control.status()
    files(world).draft_for_reload((web,), {}, status, fence=FENCE)
    world.proxy.set_weights("web", {"web-1": 3}, fence=FENCE)
    assert not control.install_for_reload(status.version, fence=FENCE)
    assert runtime(world).reload().is_refused


def test_a_handle_renewed_while_routes_are_loaded_is_renewed_in_the_new_worker(
    world: RealWorld, web: RouteDeclaration
) -> None:
    world.proxy.arm_handle({"web": {"web-1": FULL}}, LONG, fence=FENCE)
    with ThreadPoolExecutor() as pool:
        loading = pool.submit(
            world.proxy.ensure_routes, [RouteDeclaration("api", free_port(), free_port())], fence=FENCE
        )
        while not loading.done():
            world.proxy.renew_handle(LONG, fence=FENCE)
            wait([loading], timeout=0.01)
        loading.result()
    assert [route.service for route in world.proxy.routes()] == ["api", "web"]
    assert world.proxy.handle().is_armed
    assert world.proxy.handle().remaining > LONG - timedelta(minutes=1)


def test_routes_of_an_overtaken_writer_that_cannot_be_loaded_any_more_are_given_up(
    world: RealWorld, web: RouteDeclaration
) -> None:
    api = RouteDeclaration("api", free_port(), free_port())
    install_for_reload(world, (web, api), {"web": LiveService((LiveServer("web-1", web.stable[0].port, FULL),))})
    world.take_port(api.port)
    world.proxy.ensure_running(fence=TAKER)
    assert world.proxy.routes() == (web,)
    assert ask(web.port) == (200, "v1")


def test_a_server_that_an_overtaken_writer_added_is_nowhere_and_gives_its_name_free(
    world: RealWorld, web: RouteDeclaration
) -> None:
    other, own = world.endpoint("web-2", "other"), world.endpoint("web-2", "own")
    runtime(world).ask(dynamic_server("web", "web-2", other.port))
    assert [state.endpoint.instance for state in world.proxy.backends("web")] == ["web-1"]
    world.proxy.attach("web", own, fence=FENCE)
    world.proxy.set_weights("web", {"web-2": FULL}, fence=FENCE)
    assert ask(web.port) == (200, "own")


def test_late_reloads_neither_hinder_a_newer_writer_nor_touch_its_traffic(
    world: RealWorld, web: RouteDeclaration, load: LoadGenerator
) -> None:
    """Many writers that were stopped just before they asked go on, one after the other."""
    is_over = threading.Event()

    def ask_late() -> None:
        for _ in range(MOST_LATE_RELOADS):
            with suppress(ProxyUnavailable):
                runtime(world).reload()
            if is_over.wait(0.05):
                return

    late = threading.Thread(target=ask_late)
    late.start()
    try:
        api = RouteDeclaration("api", free_port(), free_port())
        newcomer = world.endpoint("web-2", "v2")
        for write in (
            lambda: world.proxy.ensure_running(fence=TAKER),
            lambda: world.proxy.attach("web", newcomer, fence=TAKER),
            lambda: world.proxy.arm_handle({"web": {"web-1": FULL}}, LONG, fence=TAKER),
            lambda: world.proxy.set_weights("web", {"web-1": 64, "web-2": 192}, fence=TAKER),
            lambda: world.proxy.ensure_routes([api], fence=TAKER),
            lambda: world.proxy.promote({"web": [newcomer]}, fence=TAKER),
            lambda: world.proxy.remove_routes(["api"], fence=TAKER),
            lambda: world.proxy.ensure_routes([api], fence=TAKER),
        ):
            until(lambda write=write: is_done(write), "the write to be done")  # type: ignore[misc]
    finally:
        is_over.set()
        late.join()
    assert world.proxy.routes() == (api, replace(web, stable=(newcomer,)))
    assert [(state.endpoint.instance, state.weight) for state in world.proxy.backends("web")] == [
        ("web-1", 64),
        ("web-2", 192),
    ]
    assert (world.proxy.handle().is_armed, world.proxy.handle().fence) == (True, TAKER)
    load.wait_for(20)
    load.stop()
    assert load.report().failures == []


def test_a_writer_that_was_stopped_while_it_tried_a_port_keeps_nobody_from_it(
    world: RealWorld, web: RouteDeclaration
) -> None:
    api = RouteDeclaration("api", free_port(), free_port(), web.stable)
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        attempt.bind(("127.0.0.1", api.port))
        world.proxy.ensure_routes([api], fence=TAKER)
        assert ask(api.port) == (200, "v1")


MOST_LATE_RELOADS = 40


def is_done(write: Callable[[], None]) -> bool:
    """What the proxy could not answer is asked again, as a driver does."""
    try:
        write()
    except ProxyUnavailable:
        return False
    return True
