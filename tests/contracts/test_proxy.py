"""What every proxy promises, the real one and the fake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import timedelta

import pytest

from deployments.domain.errors import (
    Broken,
    Conflict,
    HandleTripped,
    NotFound,
    ProxyUnavailable,
    Refused,
    StaleFence,
)
from deployments.domain.ports import BackendState, Endpoint, Proxy, RouteDeclaration
from tests.fakes.proxy_world import FakeWorld, ProxyWorld, real_world
from tests.ports import free_port

FULL = 256
SOON = timedelta(milliseconds=200)
LONG = timedelta(minutes=10)


@pytest.fixture(params=["real", "fake"])
def world(request: pytest.FixtureRequest) -> Iterator[ProxyWorld]:
    """A proxy that runs and is armed with fence 5."""
    if request.param == "fake":
        fake = FakeWorld()
        fake.proxy.ensure_running(fence=5)
        yield fake
        return
    with real_world() as real:
        real.proxy.ensure_running(fence=5)
        yield real


@pytest.fixture
def proxy(world: ProxyWorld) -> Proxy:
    return world.proxy


@pytest.fixture(scope="module", params=["real", "fake"])
def serving(request: pytest.FixtureRequest) -> Iterator[Proxy]:
    """A proxy that serves `web`, for calls that change nothing."""
    worlds = real_world() if request.param == "real" else nullcontext(FakeWorld())
    with worlds as world:
        world.proxy.ensure_running(fence=5)
        serve(world)
        yield world.proxy


def route(service: str = "web", stable: tuple[Endpoint, ...] = ()) -> RouteDeclaration:
    return RouteDeclaration(service, free_port(), free_port(), stable)


def serve(world: ProxyWorld, service: str = "web", instance: str = "web-1") -> Endpoint:
    """A service with one stable instance at full weight."""
    endpoint = world.endpoint(instance)
    world.proxy.ensure_routes([route(service, (endpoint,))], fence=5)
    return endpoint


def split(world: ProxyWorld) -> None:
    """A service with a stable instance, and a new one that gets a quarter of the requests."""
    serve(world)
    world.proxy.attach("web", world.endpoint("web-2", "r2"), fence=5)
    world.proxy.set_weights("web", {"web-1": 192, "web-2": 64}, fence=5)


def weights(proxy: Proxy, service: str = "web") -> dict[str, int]:
    return {state.endpoint.instance: state.weight for state in proxy.backends(service)}


# Fences ---------------------------------------------------------------------------------------------------------------

WRITES: dict[str, Callable[[Proxy, int], None]] = {
    "ensure_routes": lambda proxy, fence: proxy.ensure_routes([], fence=fence),
    "remove_routes": lambda proxy, fence: proxy.remove_routes([], fence=fence),
    "attach": lambda proxy, fence: proxy.attach("web", Endpoint("web-9", 9, "r9"), fence=fence),
    "detach": lambda proxy, fence: proxy.detach("web", "web-9", fence=fence),
    "set_weights": lambda proxy, fence: proxy.set_weights("web", {"web-1": 1}, fence=fence),
    "hold": lambda proxy, fence: proxy.hold("web", LONG, fence=fence),
    "unhold": lambda proxy, fence: proxy.unhold("web", fence=fence),
    "arm_handle": lambda proxy, fence: proxy.arm_handle({"web": {"web-1": 1}}, LONG, fence=fence),
    "renew_handle": lambda proxy, fence: proxy.renew_handle(LONG, fence=fence),
    "disarm_handle": lambda proxy, fence: proxy.disarm_handle(fence=fence),
    "promote": lambda proxy, fence: proxy.promote({"web": []}, fence=fence),
}


def refusal(write: Callable[[Proxy, int], None], proxy: Proxy, fence: int) -> type[Exception] | None:
    try:
        write(proxy, fence)
    except (StaleFence, HandleTripped, ProxyUnavailable) as problem:
        return type(problem)
    return None


def test_a_new_environment_has_no_fence_and_no_routes() -> None:
    with real_world() as real:
        for proxy in (real.proxy, FakeWorld().proxy):
            assert proxy.highest_fence() == 0
            assert proxy.routes() == ()


def test_every_write_with_an_older_fence_is_refused_and_changes_nothing(world: ProxyWorld, proxy: Proxy) -> None:
    serve(world)
    refused = {name: refusal(write, proxy, 4) for name, write in WRITES.items()}
    assert refused == dict.fromkeys(WRITES, StaleFence)
    assert weights(proxy) == {"web-1": FULL}
    assert proxy.highest_fence() == 5


def test_every_write_is_refused_by_a_proxy_that_restarted_until_it_is_armed(world: ProxyWorld, proxy: Proxy) -> None:
    serve(world)
    world.crash()
    refused = {name: refusal(write, proxy, 6) for name, write in WRITES.items()}
    assert refused == dict.fromkeys(WRITES, ProxyUnavailable)
    with pytest.raises(StaleFence):
        proxy.ensure_running(fence=4)
    proxy.ensure_running(fence=5)
    proxy.set_weights("web", {"web-1": 1}, fence=5)
    assert weights(proxy) == {"web-1": 1}


def test_a_write_with_a_newer_fence_shuts_the_older_one_out(world: ProxyWorld, proxy: Proxy) -> None:
    serve(world)
    proxy.set_weights("web", {"web-1": 10}, fence=7)
    assert proxy.highest_fence() == 7
    with pytest.raises(StaleFence):
        proxy.set_weights("web", {"web-1": 20}, fence=5)
    assert weights(proxy) == {"web-1": 10}


def test_the_highest_fence_survives_the_proxy(proxy: Proxy) -> None:
    proxy.ensure_running(fence=9)
    proxy.stop()
    assert proxy.highest_fence() == 9
    with pytest.raises(StaleFence):
        proxy.ensure_running(fence=8)


# Routes ---------------------------------------------------------------------------------------------------------------


def test_a_route_serves_its_stable_instances_at_full_weight(world: ProxyWorld, proxy: Proxy) -> None:
    endpoint = serve(world)
    assert proxy.backends("web") == (BackendState(endpoint, weight=FULL, sessions=0, is_up=True),)


def test_declaring_a_route_again_changes_nothing(world: ProxyWorld, proxy: Proxy) -> None:
    split(world)
    declared = proxy.routes()
    proxy.ensure_routes([RouteDeclaration("web", declared[0].port, declared[0].preview_port)], fence=5)
    assert proxy.routes() == declared
    assert weights(proxy) == {"web-1": 192, "web-2": 64}


def test_a_new_route_leaves_the_split_the_hold_and_the_handle_of_another_as_they_are(
    world: ProxyWorld, proxy: Proxy
) -> None:
    split(world)
    proxy.hold("web", LONG, fence=5)
    proxy.arm_handle({"web": {"web-1": FULL}}, LONG, fence=5)
    proxy.ensure_routes([route("api")], fence=5)
    assert weights(proxy) == {"web-1": 192, "web-2": 64}
    assert proxy.held() == {"web"}
    assert proxy.handle().is_armed
    assert proxy.handle().fence == 5
    proxy.set_weights("web", {}, fence=5)  # which only a service that is held may have
    assert weights(proxy) == {"web-1": 0, "web-2": 0}
    assert [one.service for one in proxy.routes()] == ["api", "web"]
    proxy.unhold("web", fence=5)
    assert proxy.held() == frozenset()


def test_a_port_that_somebody_else_listens_on_is_refused_by_name(world: ProxyWorld, proxy: Proxy) -> None:
    wanted = route("api")
    world.take_port(wanted.port)
    with pytest.raises(Refused, match=rf"{wanted.port}.*api"):
        proxy.ensure_routes([wanted], fence=5)
    assert proxy.routes() == ()


def test_one_port_for_two_routes_is_refused(proxy: Proxy) -> None:
    port = free_port()
    routes = [RouteDeclaration("api", port, free_port()), RouteDeclaration("web", free_port(), port)]
    with pytest.raises(Refused, match=str(port)):
        proxy.ensure_routes(routes, fence=5)


def test_a_removed_route_is_gone_and_may_be_removed_again(world: ProxyWorld, proxy: Proxy) -> None:
    serve(world)
    serve(world, "api", "api-1")
    proxy.remove_routes(["api"], fence=5)
    proxy.remove_routes(["api"], fence=5)
    assert [one.service for one in proxy.routes()] == ["web"]
    assert weights(proxy) == {"web-1": FULL}
    with pytest.raises(NotFound):
        proxy.backends("api")


def test_a_restarted_proxy_serves_what_was_promoted_and_not_the_split(world: ProxyWorld, proxy: Proxy) -> None:
    split(world)
    proxy.arm_handle({"web": {"web-1": FULL}}, LONG, fence=5)
    world.crash()
    assert weights(proxy) == {"web-1": FULL}
    assert not proxy.handle().is_armed
    proxy.ensure_running(fence=5)
    proxy.promote({"web": [world.endpoint("web-3", "r3")]}, fence=5)
    assert weights(proxy) == {"web-1": FULL}
    world.crash()
    assert weights(proxy) == {"web-3": FULL}
    assert proxy.backends("web")[0].endpoint.revision == "r3"


def test_only_a_service_with_a_route_is_promoted(proxy: Proxy) -> None:
    with pytest.raises(NotFound):
        proxy.promote({"web": []}, fence=5)


def test_a_stopped_proxy_does_not_answer_and_starts_as_stable(world: ProxyWorld, proxy: Proxy) -> None:
    split(world)
    proxy.stop()
    with pytest.raises(ProxyUnavailable):
        proxy.backends("web")
    proxy.ensure_running(fence=6)
    assert weights(proxy) == {"web-1": FULL}


# Instances and weights ------------------------------------------------------------------------------------------------


def test_an_attached_instance_has_no_weight_and_may_be_attached_again(world: ProxyWorld, proxy: Proxy) -> None:
    serve(world)
    newcomer = world.endpoint("web-2", "r2")
    proxy.attach("web", newcomer, fence=5)
    proxy.attach("web", newcomer, fence=5)
    assert weights(proxy) == {"web-1": FULL, "web-2": 0}
    assert proxy.backends("web")[1].endpoint == newcomer


def test_one_name_is_not_given_to_two_instances(world: ProxyWorld, proxy: Proxy) -> None:
    serve(world)
    with pytest.raises(Refused, match="web-1"):
        proxy.attach("web", world.endpoint("web-1"), fence=5)


def test_instances_not_named_lose_their_weight(world: ProxyWorld, proxy: Proxy) -> None:
    split(world)
    proxy.set_weights("web", {"web-2": 7}, fence=5)
    assert weights(proxy) == {"web-1": 0, "web-2": 7}


def test_weights_that_leave_nobody_are_refused_unless_the_service_is_held(world: ProxyWorld, proxy: Proxy) -> None:
    serve(world)
    with pytest.raises(Broken):
        proxy.set_weights("web", {}, fence=5)
    assert weights(proxy) == {"web-1": FULL}
    proxy.hold("web", LONG, fence=5)
    proxy.set_weights("web", {}, fence=5)
    assert weights(proxy) == {"web-1": 0}
    proxy.set_weights("web", {"web-1": 1}, fence=5)
    proxy.unhold("web", fence=5)
    with pytest.raises(Broken):
        proxy.set_weights("web", {}, fence=5)


def test_all_weight_on_an_instance_that_is_down_is_refused_while_another_is_up(world: ProxyWorld, proxy: Proxy) -> None:
    split(world)
    world.end("web-2")
    with pytest.raises(Broken, match="web"):
        proxy.set_weights("web", {"web-2": FULL}, fence=5)
    assert weights(proxy) == {"web-1": 192, "web-2": 64}


@pytest.mark.parametrize(
    ("write", "error"),
    [
        pytest.param(lambda p: p.set_weights("web", {"web-9": 1}, fence=5), NotFound, id="an unknown instance"),
        pytest.param(lambda p: p.set_weights("web", {"web-1": 257}, fence=5), Refused, id="too much"),
        pytest.param(lambda p: p.set_weights("web", {"web-1": -1}, fence=5), Refused, id="less than nothing"),
        pytest.param(lambda p: p.set_weights("api", {}, fence=5), NotFound, id="an unknown service"),
        pytest.param(lambda p: p.backends("api"), NotFound, id="reading an unknown service"),
        pytest.param(lambda p: p.attach("api", Endpoint("api-1", 9, "r"), fence=5), NotFound, id="attaching to it"),
        pytest.param(lambda p: p.hold("api", LONG, fence=5), NotFound, id="holding it"),
        pytest.param(lambda p: p.arm_handle({"api": {}}, LONG, fence=5), NotFound, id="returning to it"),
        pytest.param(lambda p: p.arm_handle({"web": {"x": 1}}, LONG, fence=5), NotFound, id="returning to nobody"),
        pytest.param(lambda p: p.attach("web", Endpoint("a b", 9, "r"), fence=5), Refused, id="a space"),
        pytest.param(lambda p: p.attach("web", Endpoint("a;b", 9, "r"), fence=5), Refused, id="another command"),
        pytest.param(lambda p: p.attach("web", Endpoint("a\n", 9, "r"), fence=5), Refused, id="another line"),
        pytest.param(lambda p: p.detach("web", "_gate", fence=5), Refused, id="an inner name"),
        pytest.param(lambda p: p.set_weights("Web", {}, fence=5), Refused, id="upper case"),
        pytest.param(lambda p: p.ensure_routes([RouteDeclaration("", 1, 2)], fence=5), Refused, id="no name"),
        pytest.param(lambda p: p.detach("web", "web-1", fence=5), Refused, id="detaching what has weight"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_changes_nothing(
    serving: Proxy, write: Callable[[Proxy], None], error: type[Exception]
) -> None:
    with pytest.raises(error):
        write(serving)
    assert weights(serving) == {"web-1": FULL}


def test_a_detached_instance_is_gone_and_may_be_detached_again(world: ProxyWorld, proxy: Proxy) -> None:
    split(world)
    proxy.set_weights("web", {"web-2": FULL}, fence=5)
    proxy.detach("web", "web-1", fence=5)
    proxy.detach("web", "web-1", fence=5)
    assert weights(proxy) == {"web-2": FULL}


# The dead man's handle ------------------------------------------------------------------------------------------------


def test_a_handle_that_nobody_renews_returns_traffic_and_spends_the_fence(world: ProxyWorld, proxy: Proxy) -> None:
    split(world)
    serve(world, "api", "api-1")
    proxy.arm_handle({"web": {"web-1": FULL}}, SOON, fence=5)
    world.let_time_pass()
    assert weights(proxy) == {"web-1": FULL, "web-2": 0}
    assert weights(proxy, "api") == {"api-1": FULL}
    assert proxy.handle().has_fired
    assert not proxy.handle().is_armed
    assert proxy.highest_fence() == 6


def test_after_it_fired_every_write_of_the_controller_that_armed_it_is_refused(world: ProxyWorld, proxy: Proxy) -> None:
    split(world)
    proxy.arm_handle({"web": {"web-1": FULL}}, SOON, fence=5)
    world.let_time_pass()
    refused = {name: refusal(write, proxy, 5) for name, write in WRITES.items()}
    assert refused == dict.fromkeys(WRITES, HandleTripped)
    with pytest.raises(HandleTripped):
        proxy.ensure_running(fence=5)
    with pytest.raises(StaleFence):
        proxy.unhold("web", fence=4)


def test_a_fired_handle_is_armed_again_only_after_somebody_disarmed_it(world: ProxyWorld, proxy: Proxy) -> None:
    split(world)
    proxy.arm_handle({"web": {"web-1": FULL}}, SOON, fence=5)
    world.let_time_pass()
    proxy.ensure_running(fence=7)
    for write in ("arm_handle", "renew_handle"):
        assert refusal(WRITES[write], proxy, 7) is HandleTripped
    proxy.disarm_handle(fence=7)
    assert not proxy.handle().has_fired
    proxy.arm_handle({"web": {"web-1": FULL}}, LONG, fence=7)
    assert proxy.handle().is_armed


def test_a_handle_reports_its_fence_and_the_time_that_is_left(world: ProxyWorld, proxy: Proxy) -> None:
    serve(world)
    assert not proxy.handle().is_armed
    proxy.arm_handle({"web": {"web-1": FULL}}, timedelta(minutes=5), fence=5)
    assert proxy.handle().is_armed
    assert proxy.handle().fence == 5
    assert timedelta(minutes=1) < proxy.handle().remaining <= timedelta(minutes=5)
    proxy.renew_handle(timedelta(minutes=50), fence=5)
    assert proxy.handle().remaining > timedelta(minutes=40)
    proxy.disarm_handle(fence=5)
    proxy.disarm_handle(fence=5)
    assert not proxy.handle().is_armed


def test_a_handle_that_is_not_armed_cannot_be_renewed(proxy: Proxy) -> None:
    with pytest.raises(Conflict):
        proxy.renew_handle(LONG, fence=5)


def test_a_fired_handle_releases_what_was_held(world: ProxyWorld, proxy: Proxy) -> None:
    split(world)
    proxy.hold("web", LONG, fence=5)
    proxy.arm_handle({"web": {"web-1": FULL}}, SOON, fence=5)
    world.let_time_pass()
    proxy.ensure_running(fence=7)
    with pytest.raises(Broken):
        proxy.set_weights("web", {}, fence=7)


def test_an_instance_that_the_handle_returns_to_stays(world: ProxyWorld, proxy: Proxy) -> None:
    split(world)
    proxy.set_weights("web", {"web-2": FULL}, fence=5)
    proxy.arm_handle({"web": {"web-1": FULL}}, LONG, fence=5)
    with pytest.raises(Refused, match="handle"):
        proxy.detach("web", "web-1", fence=5)
    proxy.disarm_handle(fence=5)
    proxy.detach("web", "web-1", fence=5)
    assert weights(proxy) == {"web-2": FULL}
