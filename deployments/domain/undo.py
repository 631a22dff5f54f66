"""Plans the way back from what the journal says has happened, or may have.

Traffic first: every service whose old instances still run gets them back in the first steps, and its address with
them, before anything is stopped. Then, in reverse order of the dependencies, what this deployment made is taken away.
A step with an intent and no receipt is treated as done: every undo action is fine with finding nothing. What there was
before is in the plan, not in the receipts: a controller that dies between effect and receipt leaves only the intent,
and the one that performs the step again finds what the first has made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from deployments.domain.plan import Plan, ServiceChange
from deployments.domain.steps import (
    ArmHandle,
    DeclareRoutes,
    HoldTraffic,
    ProvisionResource,
    RenderConfiguration,
    ShiftTraffic,
    StartInstance,
    Step,
    StopInstance,
)
from deployments.domain.strategies.decision import even
from deployments.domain.strategies.table import STRATEGIES


@dataclass(frozen=True, slots=True)
class ReturnTraffic:
    """Give the old instances all the traffic and let held requests go. Nobody with weight: none lived before."""

    service: str
    weights: Mapping[str, int]
    kind: Literal["return_traffic"] = "return_traffic"


@dataclass(frozen=True, slots=True)
class RestartPrevious:
    """Hold requests, stop the new instances, start the old ones again, give them the traffic (recreate)."""

    service: str
    instances: tuple[str, ...]
    stopped: tuple[str, ...]
    """Of `instances`: those this deployment stopped, or may have."""
    new: tuple[str, ...]
    hold_seconds: float
    kind: Literal["restart_previous"] = "restart_previous"


@dataclass(frozen=True, slots=True)
class UndoHandle:
    """Disarm the dead man's handle: traffic is back."""

    kind: Literal["undo_handle"] = "undo_handle"


@dataclass(frozen=True, slots=True)
class RemoveInstance:
    """Detach and stop an instance this deployment started."""

    service: str
    instance: str
    kind: Literal["remove_instance"] = "remove_instance"


@dataclass(frozen=True, slots=True)
class RemoveRoutes:
    """Remove the routes that this deployment declared."""

    services: tuple[str, ...]
    kind: Literal["remove_routes"] = "remove_routes"


@dataclass(frozen=True, slots=True)
class RestoreRoutes:
    """Give routes that this deployment moved the public ports they had before."""

    ports: Mapping[str, int]
    kind: Literal["restore_routes"] = "restore_routes"


@dataclass(frozen=True, slots=True)
class RemoveConfiguration:
    """Remove the configuration files that this deployment wrote."""

    service: str
    key: str
    kind: Literal["remove_configuration"] = "remove_configuration"


@dataclass(frozen=True, slots=True)
class RemoveResource:
    """Remove a resource that this deployment made."""

    name: str
    resource: str
    key: str
    kind: Literal["remove_resource"] = "remove_resource"


UndoAction = Annotated[
    ReturnTraffic | RestartPrevious | UndoHandle
    | RemoveInstance | RemoveRoutes | RestoreRoutes | RemoveConfiguration | RemoveResource,
    Field(discriminator="kind"),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class UndoStep:
    """One step back; steps are taken in order. Keys begin with `undo:`."""

    key: str
    action: UndoAction


def plan_undo(plan: Plan, journal: Mapping[str, Mapping[str, object] | None]) -> tuple[UndoStep, ...]:
    """The way back. `journal`: by step key, the receipt's values, or None where only the intent is known.

    Empty when nothing was touched that matters (a build stays: it is named by its content).
    """
    touched = [step for step in plan.steps if step.key in journal]
    routes = RoutesBefore.read(plan, journal)
    instant, slow = undo_traffic(plan, touched, routes)
    removed = [UndoStep("undo:routes", RemoveRoutes(routes.new))] if routes.new else []
    restored = [UndoStep("undo:ports", RestoreRoutes(routes.moved))] if routes.moved else []
    early, late = (removed, []) if routes.new_are_in_the_way else ([], removed)
    disarm = [UndoStep("undo:handle", UndoHandle())] if any(isinstance(s.action, ArmHandle) for s in touched) else []
    return (*instant, *early, *restored, *slow, *disarm, *late, *undo_rest(plan, touched))


@dataclass(frozen=True, slots=True)
class RoutesBefore:
    """What the plan, or for one made before plans kept it the receipt, says of the routes there were."""

    existing: frozenset[str] | None
    """Changed services that had a route; None where that is not known."""
    new: tuple[str, ...] = ()
    moved: Mapping[str, int] = field(default_factory=dict)
    """By service: the public port of before."""
    new_are_in_the_way: bool = False
    """A new route has the former port of a moved one, or a worker comes back that had none."""

    @classmethod
    def read(cls, plan: Plan, journal: Mapping[str, Mapping[str, object] | None]) -> RoutesBefore:
        """From the step that declares the routes; nothing is new or moved before it was begun."""
        key, action = next(((s.key, s.action) for s in plan.steps if isinstance(s.action, DeclareRoutes)), ("", None))
        if action is None:
            return cls(frozenset())
        if action.before is None:
            return cls(None, new=new_by_receipt(plan, action, journal[key]) if key in journal else ())
        existing, ports = frozenset(action.before), action.ports
        if key not in journal:
            return cls(existing)
        moved = {name: port for name, port in action.before.items() if ports.get(name, 0) not in (0, port)}
        new = tuple(c for c in plan.changes if c.service in ports and c.service not in existing)
        former = set(moved.values())
        blocking = any(c.previous or ports[c.service] in former for c in new)
        return cls(existing, tuple(c.service for c in new), moved, blocking)

    def had(self, change: ServiceChange) -> bool:
        """Whether the service had a route; where it is not known, one that ran is believed to have had one."""
        return bool(change.previous) if self.existing is None else change.service in self.existing


def new_by_receipt(plan: Plan, action: DeclareRoutes, receipt: Mapping[str, object] | None) -> tuple[str, ...]:
    """New routes as far as a plan knows them that was made before plans kept what there was."""
    added = action.ports if receipt is None else receipt.get("added") or {}
    assert isinstance(added, Mapping)
    return tuple(c.service for c in plan.changes if c.service in added and not c.previous)


def undo_traffic(plan: Plan, touched: list[Step], routes: RoutesBefore) -> tuple[list[UndoStep], list[UndoStep]]:
    """Traffic back to the old instances, the last service first: the instant ones, and the recreated ones."""
    instant, slow = [], []
    moved = {s.service for s in touched if isinstance(s.action, ShiftTraffic | HoldTraffic | StopInstance)}
    own: dict[str | None, list[Step]] = {name: [] for name in moved}
    for step in touched:
        if step.service in own:
            own[step.service].append(step)
    for change in reversed(in_wave_order(plan)):
        if change.service not in moved:
            continue
        if change.previous and STRATEGIES[change.strategy].has_hold:
            slow.append(UndoStep(f"undo:restart:{change.service}", restart(change, own[change.service])))
        elif routes.had(change):
            weights = {**even(change.previous), **even(change.instances, 0)}
            instant.append(UndoStep(f"undo:traffic:{change.service}", ReturnTraffic(change.service, weights)))
    return instant, slow


def restart(change: ServiceChange, own: list[Step]) -> RestartPrevious:
    """What a recreated service needs to come back. `own`: its steps that were touched."""
    stopped = tuple(step.action.instance for step in own if isinstance(step.action, StopInstance))
    new = tuple(step.action.instance for step in own if isinstance(step.action, StartInstance))
    seconds = max((step.action.seconds for step in own if isinstance(step.action, HoldTraffic)), default=30.0)
    return RestartPrevious(change.service, change.previous, stopped, new, seconds)


def undo_rest(plan: Plan, touched: list[Step]) -> list[UndoStep]:
    """What was made, taken away: instances in reverse dependency order, files and resources."""
    instances, rest = [], []
    depth = {name: index for index, wave in enumerate(plan.waves) for name in wave}
    for step in reversed(touched):
        match step.action:
            case StartInstance(service=service, instance=instance):
                instances.append(UndoStep(f"undo:instance:{instance}", RemoveInstance(service, instance)))
            case RenderConfiguration(service=service, key=key):
                rest.append(UndoStep(f"undo:configuration:{service}", RemoveConfiguration(service, key)))
            case ProvisionResource(name=name, resource=resource, key=key, existed=False):
                rest.append(UndoStep(f"undo:resource:{name}", RemoveResource(name, resource, key)))
            case _:
                pass
    instances.sort(key=lambda undo: -depth.get(getattr(undo.action, "service", ""), 0))
    return [*instances, *rest]


def in_wave_order(plan: Plan) -> list[ServiceChange]:
    """Changes by depth in the dependency graph."""
    by_service = {change.service: change for change in plan.changes}
    return [by_service[name] for wave in plan.waves for name in wave if name in by_service]


def traffic_of(undo: tuple[UndoStep, ...]) -> tuple[UndoStep, ...]:
    """The part of a way back after which the old releases have their traffic, on the addresses they had."""
    kinds = ReturnTraffic | RestoreRoutes | RestartPrevious | UndoHandle
    last = max((index for index, step in enumerate(undo) if isinstance(step.action, kinds)), default=-1)
    return undo[: last + 1]


def what_is_left(undo: tuple[UndoStep, ...], serving: set[str]) -> tuple[UndoStep, ...]:
    """Of a way back that a later stable deployment has overtaken: its own instances go, all else is the later one's."""
    return tuple(
        step
        for step in undo
        if isinstance(step.action, UndoHandle)
        or (isinstance(step.action, RemoveInstance) and step.action.instance not in serving)
    )
