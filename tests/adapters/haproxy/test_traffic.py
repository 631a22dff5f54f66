"""What clients notice of changes behind a route: nothing."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from deployments.domain.ports import Endpoint, RouteDeclaration
from tests.adapters.haproxy.conftest import FENCE
from tests.fakes.proxy_world import RealWorld
from tests.load import LoadGenerator, LoadReport
from tests.ports import free_port
from tests.waiting import until

FULL = 256
LONG = timedelta(minutes=10)


def ask(port: int, path: str = "/") -> tuple[int, str]:
    """Status and release."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers.get("x-release", "")
    finally:
        connection.close()


@contextmanager
def kept_connection(port: int) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/")
    connection.getresponse().read()
    try:
        yield connection
    finally:
        connection.close()


def sessions(world: RealWorld, instance: str) -> int:
    states = {state.endpoint.instance: state.sessions for state in world.proxy.backends("web")}
    return states.get(instance, 0)


def finished(load: LoadGenerator) -> LoadReport:
    load.wait_for(50)
    load.stop()
    return load.report()


def test_cutovers_back_and_forth_lose_no_request(world: RealWorld, load: LoadGenerator) -> None:
    world.proxy.attach("web", world.endpoint("web-2", "v2"), fence=FENCE)
    for release in ("web-2", "web-1", "web-2", "web-1", "web-2"):
        world.proxy.set_weights("web", {release: FULL}, fence=FENCE)
        load.wait_for(60)
    report = finished(load)
    assert report.failures == []
    assert set(report.by_release) == {"v1", "v2"}


def test_after_a_cutover_the_old_instance_drains_and_may_be_ended(world: RealWorld, load: LoadGenerator) -> None:
    world.proxy.attach("web", world.endpoint("web-2", "v2"), fence=FENCE)
    world.proxy.set_weights("web", {"web-2": FULL}, fence=FENCE)
    until(lambda: sessions(world, "web-1") == 0, "the old instance to drain")
    world.backends["web-1"].stop()
    world.proxy.detach("web", "web-1", fence=FENCE)
    report = finished(load)
    assert report.failures == []


def test_a_split_sends_the_share_that_was_asked_for(world: RealWorld, web: RouteDeclaration) -> None:
    world.proxy.attach("web", world.endpoint("web-2", "v2"), fence=FENCE)
    world.proxy.set_weights("web", {"web-1": 192, "web-2": 64}, fence=FENCE)
    releases = [ask(web.port)[1] for _ in range(200)]
    assert 45 <= releases.count("v2") <= 55


def test_reloads_lose_no_request(world: RealWorld, load: LoadGenerator) -> None:
    for number in range(5):
        world.proxy.ensure_routes([RouteDeclaration(f"api-{number}", free_port(), free_port())], fence=FENCE)
        load.wait_for(40)
    world.proxy.remove_routes(["api-0", "api-1"], fence=FENCE)
    report = finished(load)
    assert report.failures == []


def test_a_reload_in_the_middle_of_a_split_keeps_the_split(world: RealWorld, load: LoadGenerator) -> None:
    world.proxy.attach("web", world.endpoint("web-2", "v2"), fence=FENCE)
    world.proxy.set_weights("web", {"web-2": FULL}, fence=FENCE)
    load.wait_for(40)
    before = load.report().by_release["v1"]
    world.proxy.ensure_routes([RouteDeclaration("api", free_port(), free_port())], fence=FENCE)
    load.wait_for(60)
    report = finished(load)
    assert report.failures == []
    assert report.by_release["v1"] - before <= 2  # slow ones that were in flight


def test_a_connection_kept_through_a_reload_follows_the_new_weights(world: RealWorld, web: RouteDeclaration) -> None:
    """Its next request reaches the worker from before the reload, which knows nothing of what came after."""
    with kept_connection(web.port) as connection:
        world.proxy.ensure_routes([RouteDeclaration("api", free_port(), free_port())], fence=FENCE)
        world.proxy.attach("web", world.endpoint("web-2", "v2"), fence=FENCE)
        world.proxy.set_weights("web", {"web-2": FULL}, fence=FENCE)
        world.proxy.detach("web", "web-1", fence=FENCE)
        world.backends["web-1"].stop()
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
    assert (answer.status, answer.headers["x-release"]) == (200, "v2")


def test_requests_in_flight_in_a_replaced_worker_count_as_sessions(world: RealWorld, web: RouteDeclaration) -> None:
    answers: list[tuple[int, str]] = []
    request = threading.Thread(target=lambda: answers.append(ask(web.port, "/slow/2")))
    request.start()
    until(lambda: sessions(world, "web-1") == 1, "the request to be in flight")
    world.proxy.ensure_routes([RouteDeclaration("api", free_port(), free_port())], fence=FENCE)
    in_flight = sessions(world, "web-1")
    request.join()
    assert (in_flight, answers) == (1, [(200, "v1")])
    until(lambda: sessions(world, "web-1") == 0, "the request to be over")


def test_a_hold_shorter_than_its_limit_loses_no_request(world: RealWorld, load: LoadGenerator) -> None:
    """Recreate: the old instance is gone before the new one is there."""
    world.proxy.hold("web", LONG, fence=FENCE)
    world.proxy.set_weights("web", {}, fence=FENCE)
    until(lambda: sessions(world, "web-1") == 0, "the old instance to drain")
    world.proxy.detach("web", "web-1", fence=FENCE)
    world.backends["web-1"].stop()
    world.proxy.attach("web", world.endpoint("web-2", "v2"), fence=FENCE)
    world.proxy.set_weights("web", {"web-2": FULL}, fence=FENCE)
    world.proxy.unhold("web", fence=FENCE)
    report = finished(load)
    assert report.failures == []
    assert set(report.by_release) == {"v1", "v2"}


def test_a_request_held_longer_than_the_limit_gets_503(world: RealWorld, web: RouteDeclaration) -> None:
    world.proxy.hold("web", timedelta(milliseconds=100), fence=FENCE)
    assert ask(web.port)[0] == 503
    world.proxy.unhold("web", fence=FENCE)
    assert ask(web.port) == (200, "v1")


def test_a_request_held_through_a_reload_is_answered(world: RealWorld, web: RouteDeclaration) -> None:
    world.proxy.hold("web", LONG, fence=FENCE)
    answers: list[tuple[int, str]] = []
    request = threading.Thread(target=lambda: answers.append(ask(web.port)))
    request.start()
    until(lambda: world.open_requests("web") == 1, "the request to wait")
    world.proxy.ensure_routes([RouteDeclaration("api", free_port(), free_port())], fence=FENCE)
    world.proxy.unhold("web", fence=FENCE)
    request.join()
    assert answers == [(200, "v1")]


def test_the_handle_returns_traffic_with_no_client_connected(world: RealWorld, load: LoadGenerator) -> None:
    world.proxy.attach("web", world.endpoint("web-2", "v2"), fence=FENCE)
    world.proxy.arm_handle({"web": {"web-1": FULL}}, timedelta(milliseconds=300), fence=FENCE)
    world.proxy.set_weights("web", {"web-2": FULL}, fence=FENCE)
    until(lambda: load.report().by_release["v2"] > 0, "the new release to answer")
    until(lambda: world.proxy.highest_fence() == FENCE + 1, "the handle to spend the fence")
    back = load.report().by_release["v1"]
    until(lambda: load.report().by_release["v1"] > back + 20, "the old release to answer again")
    assert finished(load).failures == []


def test_a_renewed_handle_does_not_fire(world: RealWorld, web: RouteDeclaration) -> None:
    world.proxy.attach("web", world.endpoint("web-2", "v2"), fence=FENCE)
    world.proxy.arm_handle({"web": {"web-1": FULL}}, timedelta(seconds=20), fence=FENCE)
    world.proxy.set_weights("web", {"web-2": FULL}, fence=FENCE)
    world.proxy.renew_handle(LONG, fence=FENCE)
    assert world.proxy.handle().remaining > timedelta(seconds=60)
    assert ask(web.port) == (200, "v2")


def test_a_handle_that_was_armed_before_a_reload_fires_after_it(world: RealWorld, web: RouteDeclaration) -> None:
    world.proxy.attach("web", world.endpoint("web-2", "v2"), fence=FENCE)
    world.proxy.set_weights("web", {"web-2": FULL}, fence=FENCE)
    world.proxy.arm_handle({"web": {"web-1": FULL}}, timedelta(seconds=1), fence=FENCE)
    world.proxy.ensure_routes([RouteDeclaration("api", free_port(), free_port())], fence=FENCE)
    world.let_time_pass()
    assert ask(web.port) == (200, "v1")
    assert world.proxy.highest_fence() == FENCE + 1


def test_the_preview_route_reaches_the_instance_attached_last(world: RealWorld, web: RouteDeclaration) -> None:
    assert ask(web.preview_port) == (200, "v1")
    world.proxy.attach("web", world.endpoint("web-2", "v2"), fence=FENCE)
    assert ask(web.preview_port) == (200, "v2")
    assert ask(web.port) == (200, "v1")
    world.proxy.detach("web", "web-2", fence=FENCE)
    assert ask(web.preview_port) == (200, "v1")


def test_an_instance_that_restarts_makes_clients_wait_and_not_fail(world: RealWorld, web: RouteDeclaration) -> None:
    """Nobody listens for a moment: nothing reached a server, so HAProxy may try again."""
    world.backends["web-1"].stop()
    answers: list[tuple[int, str]] = []
    request = threading.Thread(target=lambda: answers.append(ask(web.port)))
    request.start()
    until(lambda: world.open_requests("web") == 1, "the request to find nobody")
    world.restart("web-1")
    request.join()
    assert answers == [(200, "v1")]


@contextmanager
def raw_server(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port whose connections are given to `serve`, one after the other."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_accept_all, args=(server, serve))
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def _accept_all(server: socket.socket, serve: Callable[[socket.socket], None]) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection, suppress(OSError):
            connection.settimeout(60)
            serve(connection)


def test_a_request_that_reached_an_instance_is_never_sent_again(world: RealWorld, web: RouteDeclaration) -> None:
    received: list[bytes] = []
    with raw_server(lambda connection: received.append(connection.recv(4096))) as port:  # and hangs up
        world.proxy.attach("web", Endpoint("web-2", port, "v2"), fence=FENCE)
        world.proxy.set_weights("web", {"web-2": FULL}, fence=FENCE)
        status, _ = ask(web.port)
        world.proxy.set_weights("web", {"web-1": FULL}, fence=FENCE)
        world.proxy.detach("web", "web-2", fence=FENCE)
    assert status == 502
    assert len([request for request in received if request]) == 1  # a health check sends nothing


def test_a_stream_outlives_a_cutover_and_is_cut_by_detaching(world: RealWorld, web: RouteDeclaration) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)
    connection.request("GET", "/stream")
    answer = connection.getresponse()
    world.proxy.attach("web", world.endpoint("web-2", "v2"), fence=FENCE)
    world.proxy.set_weights("web", {"web-2": FULL}, fence=FENCE)
    world.proxy.ensure_routes([RouteDeclaration("api", free_port(), free_port())], fence=FENCE)
    assert b"data" in answer.readline() + answer.readline() + answer.readline()
    assert sessions(world, "web-1") == 1
    world.proxy.detach("web", "web-1", fence=FENCE)
    try:
        while answer.readline():
            pass
    except ConnectionError:
        pass
    connection.close()
    assert ask(web.port) == (200, "v2")


def test_a_websocket_outlives_a_cutover_and_a_reload(world: RealWorld, web: RouteDeclaration) -> None:
    with raw_server(_upgrade_and_echo) as port:
        world.proxy.attach("web", Endpoint("web-2", port, "v2"), fence=FENCE)
        world.proxy.set_weights("web", {"web-2": FULL}, fence=FENCE)
        with socket.create_connection(("127.0.0.1", web.port), timeout=60) as client, client.makefile("rwb") as stream:
            stream.write(b"GET / HTTP/1.1\r\nhost: x\r\n" + WEBSOCKET_REQUEST + b"\r\n")
            stream.flush()
            assert b"101" in stream.readline()
            while stream.readline().strip():
                pass
            world.proxy.set_weights("web", {"web-1": FULL}, fence=FENCE)
            world.proxy.ensure_routes([RouteDeclaration("api", free_port(), free_port())], fence=FENCE)
            assert ask(web.port) == (200, "v1")
            stream.write(b"still here\n")
            stream.flush()
            assert stream.readline() == b"still here\n"


# The example of RFC 6455, section 1.3: HAProxy looks at the key and the answer to it.
WEBSOCKET_REQUEST = (
    b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
WEBSOCKET_ANSWER = (
    b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
)


def _upgrade_and_echo(connection: socket.socket) -> None:
    """Health checks connect and say nothing; the client that asks is echoed until it leaves."""
    with connection.makefile("rwb") as stream:
        if stream.readline().startswith(b"GET"):
            while stream.readline().strip():
                pass
            stream.write(b"HTTP/1.1 101 Switching\r\n" + WEBSOCKET_ANSWER + b"\r\n")
            stream.flush()
            for line in iter(stream.readline, b""):
                stream.write(line)
                stream.flush()
