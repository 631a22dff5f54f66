"""Plans the way back from what the journal says has happened, or may have.

Traffic first: every service whose old instances still run gets them back in the first steps, before anything is
stopped. Then, in reverse order of the dependencies, what this deployment made is taken away. A step with an intent and
no receipt is treated as done: every undo action is fine with finding nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
    """Give the old instances all the traffic and let held requests go."""

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
class RemoveConfiguration:
    """Remove configuration files that no running revision uses."""

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
    ReturnTraffic | RestartPrevious | UndoHandle | RemoveInstance | RemoveRoutes | RemoveConfiguration | RemoveResource,
    Field(discriminator="kind"),
]


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
    first, later = undo_traffic(plan, touched), undo_rest(plan, touched, journal)
    if not first and not later:
        return ()
    return (*first, *later)


def undo_traffic(plan: Plan, touched: list[Step]) -> list[UndoStep]:
    """Traffic back to the old instances, the last service first; recreated services after the instant ones."""
    instant, slow = [], []
    moved = {s.service for s in touched if isinstance(s.action, ShiftTraffic | HoldTraffic | StopInstance)}
    for change in reversed(in_wave_order(plan)):
        if change.service not in moved or not change.previous:
            continue
        if STRATEGIES[change.strategy].has_hold:
            slow.append(UndoStep(f"undo:restart:{change.service}", restart(change, touched)))
        else:
            weights = {**even(change.previous), **even(change.instances, 0)}
            instant.append(UndoStep(f"undo:traffic:{change.service}", ReturnTraffic(change.service, weights)))
    disarm = [UndoStep("undo:handle", UndoHandle())] if any(isinstance(s.action, ArmHandle) for s in touched) else []
    return [*instant, *slow, *disarm]


def restart(change: ServiceChange, touched: list[Step]) -> RestartPrevious:
    """What a recreated service needs to come back."""
    own = [step for step in touched if step.service == change.service]
    stopped = tuple(step.action.instance for step in own if isinstance(step.action, StopInstance))
    new = tuple(step.action.instance for step in own if isinstance(step.action, StartInstance))
    seconds = max((step.action.seconds for step in own if isinstance(step.action, HoldTraffic)), default=30.0)
    return RestartPrevious(change.service, change.previous, stopped, new, seconds)


def undo_rest(plan: Plan, touched: list[Step], journal: Mapping[str, Mapping[str, object] | None]) -> list[UndoStep]:
    """What was made, taken away: new routes, instances in reverse dependency order, files and resources."""
    instances, routes, rest = [], [], []
    depth = {name: index for index, wave in enumerate(plan.waves) for name in wave}
    for step in reversed(touched):
        receipt = journal[step.key]
        match step.action:
            case StartInstance(service=service, instance=instance):
                instances.append(UndoStep(f"undo:instance:{instance}", RemoveInstance(service, instance)))
            case DeclareRoutes() if receipt is None or receipt.get("added"):
                added = step.action.ports if receipt is None else receipt["added"]
                assert isinstance(added, Mapping)
                new = tuple(c.service for c in plan.changes if c.service in added and not c.previous)
                if new:
                    routes.append(UndoStep("undo:routes", RemoveRoutes(new)))
            case RenderConfiguration(service=service, key=key) if receipt is None or receipt.get("created"):
                rest.append(UndoStep(f"undo:configuration:{service}", RemoveConfiguration(service, key)))
            case ProvisionResource(name=name, resource=resource, key=key, existed=False):
                rest.append(UndoStep(f"undo:resource:{name}", RemoveResource(name, resource, key)))
            case _:
                pass
    instances.sort(key=lambda undo: -depth.get(getattr(undo.action, "service", ""), 0))
    return [*routes, *instances, *rest]


def in_wave_order(plan: Plan) -> list[ServiceChange]:
    """Changes by depth in the dependency graph."""
    by_service = {change.service: change for change in plan.changes}
    return [by_service[name] for wave in plan.waves for name in wave if name in by_service]


def what_is_left(undo: tuple[UndoStep, ...], serving: set[str]) -> tuple[UndoStep, ...]:
    """Of a way back that a later stable deployment has overtaken: its own instances go, all else is the later one's."""
    return tuple(
        step
        for step in undo
        if isinstance(step.action, UndoHandle)
        or (isinstance(step.action, RemoveInstance) and step.action.instance not in serving)
    )
