"""The meter beside a real proxy under load."""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from deployments.domain.ports import MeterReading, MeterReport, RouteDeclaration
from tests.fakes.proxy_world import ENVIRONMENT, RealWorld, real_world
from tests.load import LoadGenerator
from tests.ports import free_port
from tests.waiting import until

FENCE = 5
FULL = 256
METER = f"meter-{ENVIRONMENT}"
EVER = datetime.fromtimestamp(0, UTC)


@pytest.fixture
def world() -> Iterator[RealWorld]:
    with real_world() as real:
        real.proxy.ensure_running(fence=FENCE)
        yield real


@pytest.fixture
def web(world: RealWorld) -> RouteDeclaration:
    route = RouteDeclaration("web", free_port(), free_port(), (world.endpoint("web-1", "v1"),))
    world.proxy.ensure_routes([route], fence=FENCE)
    return route


def load(web: RouteDeclaration) -> LoadGenerator:
    return LoadGenerator(f"http://127.0.0.1:{web.port}/", slow_path="/slow/0.1", rate=150)


def ask(port: int, path: str = "/") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def read(world: RealWorld) -> MeterReport:
    return world.meter.read(since=EVER)


def total(world: RealWorld) -> int:
    return sum(reading.requests for reading in read(world).readings)


def by_revision(world: RealWorld) -> dict[str, MeterReading]:
    return {reading.revision: reading for reading in read(world).readings}


def test_it_counts_what_the_load_generator_sent_by_revision(world: RealWorld, web: RouteDeclaration) -> None:
    world.proxy.attach("web", world.endpoint("web-2", "v2"), fence=FENCE)
    with load(web) as generator:
        generator.wait_for(60)
        world.proxy.set_weights("web", {"web-2": FULL}, fence=FENCE)
        generator.wait_for(60)
        world.proxy.ensure_routes([RouteDeclaration("api", free_port(), free_port())], fence=FENCE)
        generator.wait_for(60)
    report = generator.report()
    until(lambda: total(world) >= report.requests, "the meter to write what it counted")
    counted = {revision: reading.requests for revision, reading in by_revision(world).items()}
    assert counted == dict(report.by_release)
    assert read(world).is_running
    until(lambda: read(world).lost == 0, "the counters to agree")


def test_it_tells_errors_statuses_and_latencies_apart(world: RealWorld, web: RouteDeclaration) -> None:
    for path in ("/", "/", "/status/404", "/status/500", "/slow/0.3"):
        ask(web.port, path)
    until(lambda: total(world) == 5, "five requests to be counted")
    reading = by_revision(world)["v1"]
    assert reading.service == "web"
    assert (reading.requests, reading.errors) == (5, 1)
    assert reading.statuses == {200: 3, 404: 1, 500: 1}
    assert reading.latency_ms["max"] >= 300
    assert set(reading.latency_ms) == {"p50", "p90", "p95", "p99", "max"}


def test_requests_that_reached_no_instance_belong_to_no_revision(world: RealWorld, web: RouteDeclaration) -> None:
    api = RouteDeclaration("api", free_port(), free_port())
    world.proxy.ensure_routes([api], fence=FENCE)
    assert ask(api.port) == 503
    until(lambda: total(world) == 1, "the request to be counted")
    reading = by_revision(world)[""]
    assert (reading.service, reading.errors, reading.statuses) == ("api", 1, {503: 1})


def test_preview_requests_are_not_counted(world: RealWorld, web: RouteDeclaration) -> None:
    assert ask(web.preview_port) == 200
    assert ask(web.port) == 200
    until(lambda: total(world) == 1, "the public request to be counted")
    assert ask(web.port) == 200
    until(lambda: total(world) == 2, "the second public request to be counted")


def test_a_connection_that_asks_nothing_is_no_request(world: RealWorld, web: RouteDeclaration) -> None:
    with socket.create_connection(("127.0.0.1", web.port)):
        pass
    assert ask(web.port) == 200
    until(lambda: total(world) == 1, "the request to be counted")
    until(lambda: world.answered_by_proxy("web") == 1, "the proxy's own count to agree")


def test_a_meter_that_is_asked_to_stop_loses_nothing(world: RealWorld, web: RouteDeclaration) -> None:
    with load(web) as generator:
        generator.wait_for(60)
        world.host.stop_service(METER)
        until(lambda: not read(world).is_running, "the meter to be gone")
        generator.wait_for(60)
        world.proxy.ensure_running(fence=FENCE)
        generator.wait_for(60)
    sent = generator.report().requests
    until(lambda: total(world) == sent, "the meter to catch up")
    until(lambda: read(world).lost == 0, "the counters to agree")


def test_a_killed_meter_says_how_much_it_lost(world: RealWorld, web: RouteDeclaration) -> None:
    with load(web) as generator:
        generator.wait_for(100)
        world.host.kill(METER)
        generator.wait_for(100)
    sent = generator.report().requests
    until(lambda: total(world) + read(world).lost == sent, "every request to be counted or known to be lost")
    assert total(world) > 0


def test_readings_outlive_the_proxy_and_the_meter(world: RealWorld, web: RouteDeclaration) -> None:
    ask(web.port)
    until(lambda: total(world) == 1, "the request to be counted")
    world.proxy.stop()
    assert not read(world).is_running
    world.proxy.ensure_running(fence=FENCE)
    ask(web.port)
    until(lambda: total(world) == 2, "the second request to be counted")
    assert read(world).lost == 0


def test_a_full_pipe_delays_no_request_and_its_losses_are_known(world: RealWorld, web: RouteDeclaration) -> None:
    world.host.stop_service(METER)
    pipe = os.open(world.run / f"{ENVIRONMENT}.requests", os.O_WRONLY | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while True:
            os.write(pipe, b"x" * 4095 + b"\n")
    os.close(pipe)
    with load(web) as generator:
        generator.wait_for(60)
    report = generator.report()
    assert report.failures == []
    world.proxy.ensure_running(fence=FENCE)
    until(lambda: total(world) + read(world).lost == report.requests, "the losses to be known")
