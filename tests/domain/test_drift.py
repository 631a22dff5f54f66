"""What is repaired, and in which order: what serves begins before anything ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deployments.domain.drift import (
    AdmitInstance,
    DeclareRoute,
    DetachInstance,
    DisarmHandle,
    GiveTraffic,
    PromoteRoute,
    ReleaseRequests,
    RemoveInstance,
    RemoveRoute,
    Repair,
    Seen,
    StartDataPlane,
    StartInstance,
    decide_drift,
)
from deployments.domain.entities import Instance, InstanceLife, Route
from deployments.domain.facts import RunningRelease
from deployments.domain.ports import (
    BackendState,
    Endpoint,
    HandleState,
    InstanceReport,
    InstanceState,
    RouteDeclaration,
)

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
A1, A2, OLD = Endpoint("a1", 9001, "r2"), Endpoint("a2", 9002, "r2"), Endpoint("old", 9000, "r1")
STABLE = (A1, A2)
ARMED = HandleState(is_armed=True, has_fired=False, fence=3, remaining=timedelta(seconds=5))
FIRED = HandleState(is_armed=False, has_fired=True, fence=3, remaining=timedelta(0))
IDLE = HandleState(is_armed=False, has_fired=False, fence=0, remaining=timedelta(0))


def instance(endpoint: Endpoint, state: InstanceLife = InstanceLife.SERVING, deployment: str = "d2") -> Instance:
    return Instance(
        endpoint.instance, "production", "api", endpoint.revision, "x", deployment, endpoint.port, state, NOW
    )


def report(endpoint: Endpoint, state: InstanceState = InstanceState.RUNNING, code: int | None = None) -> InstanceReport:
    return InstanceReport(endpoint.instance, state, port=endpoint.port, exit_code=code, service="api")


def backend(endpoint: Endpoint, weight: int) -> BackendState:
    return BackendState(endpoint, weight, sessions=0, is_up=True)


def seen(**changes: Any) -> Seen:
    """An environment as recorded: two instances of a stable release serve, nothing else is there."""
    valid: dict[str, Any] = {
        "stable": {"api": RunningRelease("api", "r2", "x", "2.0", "d2", STABLE)},
        "recorded": {endpoint.instance: instance(endpoint) for endpoint in STABLE},
        "recorded_routes": {"api": Route("production", "api", 8000, 8001)},
        "reports": {endpoint.instance: report(endpoint) for endpoint in STABLE},
        "routes": {"api": RouteDeclaration("api", 8000, 8001, STABLE)},
        "backends": {"api": (backend(A1, 128), backend(A2, 128))},
        "handle": IDLE,
    }
    return Seen(**{**valid, **changes})


def with_old(
    weight: int | None, life: InstanceLife | None, state: InstanceState | None = InstanceState.RUNNING, **changes: Any
) -> Seen:
    """The same, with an instance of the release before."""
    attached = (backend(OLD, weight),) if weight is not None else ()
    recorded = {"old": instance(OLD, life, "d1")} if life else {}
    reports = {"old": report(OLD, state)} if state else {}
    base = seen()
    return seen(
        recorded={**base.recorded, **recorded},
        reports={**base.reports, **reports},
        backends={"api": (*base.backends["api"], *attached)},
        **changes,
    )


EVEN = (("a1", 128), ("a2", 128))
CASES: dict[str, tuple[Seen, list[Repair]]] = {
    "as recorded": (seen(), []),
    "nothing at all": (Seen(), []),
    "a warm instance is kept": (with_old(0, InstanceLife.WARM), []),
    "destroyed": (seen(recorded={}, reports={}, backends={}), []),
    "destroyed while it still runs": (seen(recorded={}), []),
    "proxy away": (seen(is_proxy_away=True, backends={}, handle=None), [StartDataPlane()]),
    "proxy away and nothing stable": (Seen(is_proxy_away=True), []),
    "meter away": (seen(is_meter_away=True), [StartDataPlane()]),
    "a process unknown to the records, with traffic": (
        with_old(256, None),
        [GiveTraffic("api", (("a1", 128), ("a2", 128), ("old", 0)))],
    ),
    "a process unknown to the records, attached": (with_old(0, None), [DetachInstance("api", "old")]),
    "a process unknown to the records": (with_old(None, None), [RemoveInstance("api", "old")]),
    "a recorded instance of nobody": (with_old(None, InstanceLife.SERVING), [RemoveInstance("api", "old")]),
    "a recorded instance of nobody, gone": (
        with_old(None, InstanceLife.STARTING, state=None),
        [RemoveInstance("api", "old")],
    ),
    "an instance of a deployment that waits": (
        with_old(0, InstanceLife.SERVING, waiting=frozenset({"d1"})),
        [],
    ),
    "a warm instance that is gone": (
        with_old(0, InstanceLife.WARM, state=InstanceState.EXITED),
        [DetachInstance("api", "old")],
    ),
    "a warm instance that is gone and not attached": (
        with_old(None, InstanceLife.WARM, state=None),
        [RemoveInstance("api", "old")],
    ),
    "a stable process is gone": (
        seen(reports={"a1": report(A1)}),
        [GiveTraffic("api", (("a1", 256), ("a2", 0))), StartInstance("api", "a2")],
    ),
    "every stable process is gone": (seen(reports={}), [StartInstance("api", "a1"), StartInstance("api", "a2")]),
    "one that the supervisor starts again is left to it": (
        seen(reports={"a1": report(A1), "a2": report(A2, InstanceState.STARTING)}),
        [],
    ),
    "not attached": (seen(backends={"api": (backend(A1, 256),)}), [AdmitInstance("api", A2)]),
    "without weight": (seen(backends={"api": (backend(A1, 256), backend(A2, 0))}), [AdmitInstance("api", A2)]),
    "admitted": (
        seen(backends={"api": (backend(A1, 256), backend(A2, 0))}, admitted=frozenset({"a2"})),
        [GiveTraffic("api", EVEN)],
    ),
    "old file": (
        seen(routes={"api": RouteDeclaration("api", 8000, 8001, (OLD,))}, backends={"api": (backend(OLD, 256),)}),
        [AdmitInstance("api", A1), AdmitInstance("api", A2)],
    ),
    "old file, stable admitted": (
        seen(
            routes={"api": RouteDeclaration("api", 8000, 8001, (OLD,))},
            backends={"api": (backend(OLD, 256), backend(A1, 0), backend(A2, 0))},
            reports={e.instance: report(e) for e in (*STABLE, OLD)},
            admitted=frozenset({"a1", "a2"}),
        ),
        [GiveTraffic("api", (*EVEN, ("old", 0)))],
    ),
    "old file, traffic right": (
        with_old(0, None, routes={"api": RouteDeclaration("api", 8000, 8001, (OLD,))}),
        [PromoteRoute("api", STABLE), DetachInstance("api", "old")],
    ),
    "route of nobody": (
        Seen(routes={"web": RouteDeclaration("web", 8010, 8011)}, backends={"web": ()}),
        [RemoveRoute("web")],
    ),
    "recorded route of nobody": (
        Seen(recorded_routes={"web": Route("production", "web", 8010, 8011)}),
        [RemoveRoute("web")],
    ),
    "route of a deployment that waits": (
        Seen(
            routes={"web": RouteDeclaration("web", 8010, 8011)},
            backends={"web": ()},
            waiting_services=frozenset({"web"}),
        ),
        [],
    ),
    "route that the proxy lacks": (
        seen(routes={}, backends={}),
        [DeclareRoute(RouteDeclaration("api", 8000, 8001, STABLE))],
    ),
    "route that the proxy lacks, while nobody could answer": (
        seen(routes={}, backends={}, reports={}),
        [StartInstance("api", "a1"), StartInstance("api", "a2")],
    ),
    "held": (seen(held=frozenset({"api"})), [ReleaseRequests("api")]),
    "held while nobody answers": (
        seen(held=frozenset({"api"}), reports={}),
        [StartInstance("api", "a1"), StartInstance("api", "a2")],
    ),
    "a handle is armed": (seen(handle=ARMED), [DisarmHandle()]),
    "a handle had fired": (seen(handle=FIRED), [DisarmHandle()]),
    "a handle is armed and the weights are wrong": (
        with_old(256, InstanceLife.WARM, handle=ARMED),
        [GiveTraffic("api", (*EVEN, ("old", 0)))],
    ),
    "a release that tolerates no other": (
        with_old(
            256, InstanceLife.SERVING, waiting=frozenset({"d1"}), exclusive=frozenset({"api"}), waiting_services={"api"}
        ),
        [],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_repaired_after_one_look(case: str) -> None:
    found, repairs = CASES[case]
    assert list(decide_drift(found)) == repairs


@pytest.mark.parametrize("case", CASES)
def test_every_repair_says_why(case: str) -> None:
    assert all(repair.why for repair in decide_drift(CASES[case][0]))


def test_traffic_waits_for_all_that_can_be_admitted_while_somebody_answers() -> None:
    found = with_old(256, None, admitted=frozenset({"a1"}))
    found = seen(
        recorded=found.recorded,
        reports=found.reports,
        backends={"api": (backend(OLD, 256), backend(A1, 0))},
        admitted=frozenset({"a1"}),
    )
    kinds = [type(repair) for repair in decide_drift(found)]
    assert kinds.index(AdmitInstance) < kinds.index(GiveTraffic)


def test_what_failed_lately_rests_and_the_others_get_the_traffic() -> None:
    found = seen(backends={"api": (backend(OLD, 256), backend(A1, 0))}, admitted=frozenset({"a1"}))
    resting: frozenset[Repair] = frozenset({AdmitInstance("api", A2)})
    assert decide_drift(found, resting=resting)[0] == GiveTraffic("api", (("a1", 256), ("old", 0)))


def test_an_instance_is_neither_detached_nor_stopped_while_it_has_weight() -> None:
    for repair in decide_drift(with_old(256, None)):
        assert not isinstance(repair, DetachInstance | RemoveInstance)


def test_nothing_takes_the_last_instance_that_answers_away() -> None:
    found = seen(reports={"old": report(OLD)}, backends={"api": (backend(OLD, 256),)})
    assert {type(repair) for repair in decide_drift(found)} == {StartInstance}


def test_one_service_that_cannot_be_started_keeps_no_other_from_its_traffic() -> None:
    b1 = Endpoint("b1", 9100, "r1")
    base = seen()
    found = seen(
        stable={**base.stable, "web": RunningRelease("web", "r1", "y", "1.0", "d1", (b1,))},
        recorded={**base.recorded, "b1": instance(b1)},
        routes={**base.routes, "web": RouteDeclaration("web", 8010, 8011, (b1,))},
        backends={"api": (backend(A1, 0), backend(A2, 0)), "web": (backend(b1, 256),)},
        admitted=frozenset({"a1", "a2"}),
    )
    resting: frozenset[Repair] = frozenset({StartInstance("web", "b1")})
    assert decide_drift(found, resting=resting) == (GiveTraffic("api", EVEN),)
