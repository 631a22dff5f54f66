"""The way back from every point of a deployment: traffic first, then what was made, in reverse order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.domain.codec import plan_from_json, plan_to_json, undo_from_json, undo_to_json
from deployments.domain.facts import RunningRelease
from deployments.domain.plan import Plan
from deployments.domain.planning import plan_deployment
from deployments.domain.ports import Endpoint
from deployments.domain.steps import Phase
from deployments.domain.strategies.decision import even
from deployments.domain.undo import (
    RemoveConfiguration,
    RemoveInstance,
    RemoveResource,
    RemoveRoutes,
    RestartPrevious,
    RestoreRoutes,
    ReturnTraffic,
    UndoHandle,
    plan_undo,
    traffic_of,
    what_is_left,
)
from tests.domain.specifications import facts, service, specification

Journal = dict[str, Mapping[str, object] | None]
BLUE_GREEN, ROLLING, RECREATE = {"kind": "blue_green"}, {"kind": "rolling"}, {"kind": "recreate", "hold": "20s"}


def serving(name: str, instances: int = 1) -> RunningRelease:
    """A release that serves before."""
    endpoints = tuple(Endpoint(f"{name}-old-{n}", 9000 + n, "old") for n in range(1, instances + 1))
    return RunningRelease(name, "old", "r" * 64, "1.0", "before", endpoints)


def planned(*services: dict[str, Any], stable: Sequence[RunningRelease] = (), **fields: Any) -> Plan:
    """The plan for these services over what serves; each web service that serves has a route."""
    workers = {one["name"] for one in services if one.get("type") == "worker"}
    routes = {r.service: 8000 + n for n, r in enumerate(stable) if r.service not in workers}
    observed = facts(stable={release.service: release for release in stable}, routes=fields.pop("routes", routes))
    return plan_deployment(specification(*services, **fields), observed, deployment="new")


def returning() -> Plan:
    """A rollback to instances that are still warm."""
    asked = specification()
    observed = facts(stable={"api": serving("api")}, routes={"api": 8000})
    change = plan_deployment(asked, observed, deployment="new").change("api")
    warm = RunningRelease("api", change.revision, change.release, "1.0", "before", (Endpoint("api-warm-1", 9100, "a"),))
    observed = replace(observed, warm={"api": (warm,)})
    return plan_deployment(asked, observed, deployment="new", is_rollback=True)


def journal(plan: Plan, until: str, in_doubt: str | None = None) -> Journal:
    """Every step up to this one has happened; of one only the intent is known."""
    found: Journal = {}
    for step in plan.steps:
        found[step.key] = None if step.key == in_doubt else {}
        if step.key == until:
            return found
    raise KeyError(until)


def way_back(plan: Plan, found: Journal) -> list[str]:
    """The keys of the way back."""
    return [step.key for step in plan_undo(plan, found)]


def action(plan: Plan, found: Journal, key: str) -> object:
    """One action of the way back."""
    return next(step.action for step in plan_undo(plan, found) if step.key == key)


FIRST = planned(
    service(configuration={"files": {"a.ini": "a=1"}}), resource_requirements=[{"name": "data", "kind": "directory"}]
)
UPGRADE = planned(service(deployment_strategy=BLUE_GREEN), stable=[serving("api", 2)])
BATCHES = planned(service(deployment_strategy=ROLLING, scaling={"replicas": 2}), stable=[serving("api", 2)])
STOPPED = planned(service(deployment_strategy=RECREATE), stable=[serving("api", 2)])
GRAPH = planned(
    service("web", dependencies=["api"]),
    service("api", dependencies=["db"], deployment_strategy=ROLLING, scaling={"replicas": 2}),
    service("db", deployment_strategy=RECREATE),
    stable=[serving("web"), serving("api", 2), serving("db")],
)
WORKER = planned(service("jobs", type="worker"), stable=[serving("jobs")])
RETURN = returning()
PLANS = {
    "return": RETURN,
    "first": FIRST,
    "upgrade": UPGRADE,
    "batches": BATCHES,
    "stopped": STOPPED,
    "graph": GRAPH,
    "worker": WORKER,
}
FIRST_MADE = ["undo:configuration:api", "undo:resource:data"]


@pytest.mark.parametrize(
    ("plan", "until", "keys"),
    [
        (FIRST, "build:api", []),
        (FIRST, "resource:data", ["undo:resource:data"]),
        (FIRST, "routes", ["undo:routes", "undo:resource:data"]),
        (FIRST, "configure:api", ["undo:routes", *FIRST_MADE]),
        (FIRST, "shift:api:1", ["undo:routes", "undo:instance:api-new-1", *FIRST_MADE]),
        (UPGRADE, "routes", []),
        (UPGRADE, "handle", ["undo:handle"]),
        (UPGRADE, "attach:api-new-1", ["undo:handle", "undo:instance:api-new-1"]),
        (UPGRADE, "shift:api:1", ["undo:traffic:api", "undo:handle", "undo:instance:api-new-1"]),
        (UPGRADE, "bake", ["undo:traffic:api", "undo:handle", "undo:instance:api-new-1"]),
        (BATCHES, "shift:api:1", ["undo:traffic:api", "undo:handle", "undo:instance:api-new-1"]),
        (
            BATCHES,
            "start:api-new-2",
            ["undo:traffic:api", "undo:handle", "undo:instance:api-new-2", "undo:instance:api-new-1"],
        ),
        (STOPPED, "hold:api", ["undo:restart:api"]),
        (STOPPED, "stop:api-old-1", ["undo:restart:api"]),
        (STOPPED, "release:api", ["undo:restart:api", "undo:instance:api-new-1"]),
        (WORKER, "start:jobs-new-1", ["undo:instance:jobs-new-1"]),
        (RETURN, "shift:api:1", ["undo:traffic:api", "undo:handle"]),
    ],
    ids=[
        "first: a build stays",
        "first: a resource",
        "first: routes",
        "first: configuration",
        "first: there is nothing to give the traffic to",
        "upgrade: the route was there before",
        "upgrade: only the handle",
        "upgrade: no traffic moved yet",
        "upgrade: traffic moved",
        "upgrade: during the bake",
        "rolling: after the first batch",
        "rolling: within the second batch",
        "recreate: held",
        "recreate: one stopped",
        "recreate: all done",
        "worker: it has no traffic",
        "rollback: warm instances are not its own, and stay",
    ],
)
def test_what_was_done_is_taken_back(plan: Plan, until: str, keys: list[str]) -> None:
    assert way_back(plan, journal(plan, until)) == keys


def test_nothing_touched_needs_no_way_back() -> None:
    assert all(plan_undo(plan, {}) == () for plan in PLANS.values())


def test_the_last_service_gets_its_traffic_back_first_and_recreated_ones_after_the_instant_ones() -> None:
    assert way_back(GRAPH, journal(GRAPH, "shift:web:1")) == [
        "undo:traffic:web",
        "undo:traffic:api",
        "undo:restart:db",
        "undo:handle",
        "undo:instance:web-new-1",
        "undo:instance:api-new-2",
        "undo:instance:api-new-1",
        "undo:instance:db-new-1",
    ]


def test_only_services_whose_traffic_moved_get_it_back() -> None:
    assert way_back(GRAPH, journal(GRAPH, "shift:api:1")) == [
        "undo:traffic:api",
        "undo:restart:db",
        "undo:handle",
        "undo:instance:api-new-1",
        "undo:instance:db-new-1",
    ]


def test_the_old_instances_share_all_the_traffic_and_the_new_have_none() -> None:
    found = action(BATCHES, journal(BATCHES, "shift:api:1"), "undo:traffic:api")
    assert found == ReturnTraffic("api", {"api-old-1": 128, "api-old-2": 128, "api-new-1": 0, "api-new-2": 0})


@pytest.mark.parametrize(
    ("until", "stopped", "new"),
    [
        ("hold:api", (), ()),
        ("stop:api-old-1", ("api-old-1",), ()),
        ("stop:api-old-2", ("api-old-1", "api-old-2"), ()),
        ("start:api-new-1", ("api-old-1", "api-old-2"), ("api-new-1",)),
    ],
)
def test_a_recreated_service_comes_back_from_where_it_is(
    until: str, stopped: tuple[str, ...], new: tuple[str, ...]
) -> None:
    found = action(STOPPED, journal(STOPPED, until), "undo:restart:api")
    assert found == RestartPrevious("api", ("api-old-1", "api-old-2"), stopped, new, 20.0)


@pytest.mark.parametrize("name", sorted(PLANS))
def test_a_step_in_doubt_counts_as_done(name: str) -> None:
    plan = PLANS[name]
    for step in plan.steps:
        if step.phase is not Phase.COMPLETION:
            done, doubtful = journal(plan, step.key), journal(plan, step.key, in_doubt=step.key)
            assert plan_undo(plan, doubtful) == plan_undo(plan, done), step.key


@pytest.mark.parametrize("key", ["routes", "configure:api", "resource:data"])
@pytest.mark.parametrize("kept", [None, {}, {"added": {}, "created": False}], ids=["in doubt", "done", "done twice"])
def test_what_this_deployment_made_is_known_without_a_receipt(key: str, kept: Mapping[str, object] | None) -> None:
    """A step that is performed again after its receipt was lost finds what the first had made."""
    assert len(plan_undo(FIRST, {key: kept})) == 1


@pytest.mark.parametrize(
    ("kept", "removed"),
    [({"added": {"web": 8001}}, ["undo:routes"]), ({"added": {}}, []), (None, ["undo:routes"])],
    ids=["a new route", "no new route", "in doubt"],
)
def test_a_plan_from_before_it_kept_the_routes_is_undone_by_its_receipt(
    kept: Mapping[str, object] | None, removed: list[str]
) -> None:
    written = plan_to_json(planned(service("api"), service("web"), stable=[serving("api")]))
    for step in list(written["steps"]):  # type: ignore[call-overload]
        step["action"].pop("before", None)
    plan = plan_from_json(written)
    assert way_back(plan, {"routes": kept}) == removed
    assert not removed or action(plan, {"routes": kept}, "undo:routes") == RemoveRoutes(("web",))


def test_a_moved_route_gets_its_port_back_right_after_the_traffic() -> None:
    plan = planned(
        service("api", port=8100), service("db", deployment_strategy=RECREATE), stable=[serving("api"), serving("db")]
    )
    found = {**journal(plan, "stop:db-old-1"), **journal(plan, "shift:api:1")}
    assert way_back(plan, found)[:4] == ["undo:traffic:api", "undo:ports", "undo:restart:db", "undo:handle"]
    assert action(plan, found, "undo:ports") == RestoreRoutes({"api": 8000})
    assert way_back(plan, {"routes": None}) == ["undo:ports"]
    assert way_back(plan, {"build:api": {}}) == []


def test_a_new_route_makes_room_for_the_port_that_a_moved_one_gets_back() -> None:
    plan = planned(service("api", port=8100), service("web", port=8000), stable=[serving("api")])
    assert way_back(plan, {"routes": None}) == ["undo:routes", "undo:ports"]


def test_a_route_that_nobody_served_stays_and_gives_its_traffic_to_nobody() -> None:
    plan = planned(service("api"), routes={"api": 8000})
    found = journal(plan, "shift:api:1")
    assert way_back(plan, found) == ["undo:traffic:api", "undo:instance:api-new-1"]
    assert action(plan, found, "undo:traffic:api") == ReturnTraffic("api", {"api-new-1": 0})


@pytest.mark.parametrize(("strategy", "first"), [(BLUE_GREEN, "undo:routes"), (RECREATE, "undo:routes")])
def test_a_worker_that_became_a_web_service_is_a_worker_again(strategy: dict[str, Any], first: str) -> None:
    plan = planned(service("jobs", deployment_strategy=strategy), stable=[serving("jobs")], routes={})
    assert not [step for step in plan.steps if step.key in ("handle", "hold:jobs", "release:jobs")]
    assert plan.step("shift:jobs:1").action.weights == {"jobs-new-1": 256}  # type: ignore[union-attr]
    found = way_back(plan, journal(plan, "bake"))
    assert found[0] == first
    assert found[-1] == "undo:instance:jobs-new-1"
    assert ("undo:restart:jobs" in found) == (strategy is RECREATE)


def test_the_part_that_returns_traffic_ends_with_the_last_step_that_does() -> None:
    undo = plan_undo(GRAPH, journal(GRAPH, "shift:web:1"))
    assert [step.key for step in traffic_of(undo)] == [step.key for step in undo[:4]]
    assert traffic_of(undo)[-1].action == UndoHandle()
    assert traffic_of(plan_undo(FIRST, journal(FIRST, "bake"))) == ()


def test_a_resource_that_was_there_before_stays() -> None:
    asked = specification(resource_requirements=[{"name": "data", "kind": "directory"}])
    plan = plan_deployment(asked, facts(resources=frozenset({"data"})), deployment="new")
    assert plan_undo(plan, {"resource:data": {}}) == ()


def test_what_was_made_is_named_as_it_was_made() -> None:
    made = {step.key: step.action for step in plan_undo(FIRST, journal(FIRST, "start:api-new-1"))}
    revision = FIRST.change("api").revision
    assert made == {
        "undo:routes": RemoveRoutes(("api",)),
        "undo:instance:api-new-1": RemoveInstance("api", "api-new-1"),
        "undo:configuration:api": RemoveConfiguration("api", f"production.api.{revision}.new"),
        "undo:resource:data": RemoveResource("data", "directory", "production.data"),
    }


def test_a_route_in_doubt_is_removed_only_where_nothing_served_before() -> None:
    plan = planned(service("api"), service("web"), stable=[serving("api")])
    assert action(plan, {"routes": None}, "undo:routes") == RemoveRoutes(("web",))


def test_of_a_way_back_that_was_overtaken_only_what_serves_nobody_goes() -> None:
    whole = plan_undo(BATCHES, journal(BATCHES, "shift:api:2"))
    left = what_is_left(whole, {"api-new-1"})
    assert [step.action for step in left] == [UndoHandle(), RemoveInstance("api", "api-new-2")]


def test_an_overtaken_way_back_leaves_routes_files_resources_and_traffic_to_the_later_one() -> None:
    assert [step.key for step in what_is_left(plan_undo(FIRST, journal(FIRST, "bake")), set())] == [
        "undo:instance:api-new-1"
    ]
    assert [step.key for step in what_is_left(plan_undo(STOPPED, journal(STOPPED, "bake")), set())] == [
        "undo:instance:api-new-1"
    ]
    assert what_is_left((), set()) == ()


@st.composite
def interrupted(draw: st.DrawFn) -> tuple[Plan, Journal]:
    """A plan, and a journal that ends anywhere, with holes, and with receipts or without."""
    plan = PLANS[draw(st.sampled_from(sorted(PLANS)))]
    before = [step for step in plan.steps if step.phase is not Phase.COMPLETION]
    begun = before[: draw(st.integers(0, len(before)))]
    flags = st.lists(st.booleans(), min_size=len(begun), max_size=len(begun))
    present = [step.key for step, is_present in zip(begun, draw(flags), strict=True) if is_present]
    known = dict(zip((step.key for step in begun), draw(flags), strict=True))
    return plan, {key: {} if known[key] else None for key in present}


@given(interrupted())
def test_from_anywhere_the_way_back_keeps_what_served_and_returns_traffic_before_it_removes(
    case: tuple[Plan, Journal],
) -> None:
    plan, found = case
    undo = plan_undo(plan, found)
    served = {instance for change in plan.changes for instance in change.previous}
    removed = [step.action.instance for step in undo if isinstance(step.action, RemoveInstance)]
    assert not served & set(removed)
    assert {f"start:{instance}" for instance in removed} == {key for key in found if key.startswith("start:")}

    is_removal = [isinstance(step.action, RemoveInstance) for step in undo]
    returns = [n for n, step in enumerate(undo) if isinstance(step.action, ReturnTraffic | RestartPrevious)]
    if returns and True in is_removal:
        assert max(returns) < is_removal.index(True)

    keys = [step.key for step in undo]
    assert len(set(keys)) == len(keys)
    assert all(key.startswith("undo:") for key in keys)
    assert undo_from_json(undo_to_json(undo)) == undo
    assert plan_undo(plan_from_json(plan_to_json(plan)), found) == undo, "the kept plan has the same way back"


@given(interrupted())
def test_no_way_back_goes_through_a_split_and_each_kind_of_step_begins_with_the_last_service(
    case: tuple[Plan, Journal],
) -> None:
    plan, found = case
    depth = {name: index for index, wave in enumerate(plan.waves) for name in wave}
    undo = plan_undo(plan, found)
    for step in undo:
        if isinstance(step.action, ReturnTraffic):
            change = plan.change(step.action.service)
            assert step.action.weights == {**even(change.previous), **even(change.instances, 0)}
    for kind in (ReturnTraffic, RestartPrevious, RemoveInstance):
        depths = [depth[step.action.service] for step in undo if isinstance(step.action, kind)]
        assert depths == sorted(depths, reverse=True)


@given(interrupted(), st.data())
def test_what_is_left_of_a_way_back_touches_nothing_that_serves(
    case: tuple[Plan, Journal], data: st.DataObject
) -> None:
    plan, found = case
    everybody = [instance for change in plan.changes for instance in (*change.previous, *change.instances)]
    now = data.draw(st.sets(st.sampled_from(everybody)))
    undo = plan_undo(plan, found)
    left = what_is_left(undo, now)
    assert [step for step in undo if step in left] == list(left), "in the same order"
    assert all(isinstance(step.action, UndoHandle | RemoveInstance) for step in left)
    assert not now & {step.action.instance for step in left if isinstance(step.action, RemoveInstance)}


def test_a_service_that_no_wave_names_is_removed_all_the_same() -> None:
    plan = replace(UPGRADE, waves=())
    assert way_back(plan, journal(plan, "start:api-new-1")) == ["undo:handle", "undo:instance:api-new-1"]
