"""A world in memory that each action changes as its effect does, one write after the other, and that minds the rules.

Every effect is a generator: it yields after each of its writes, so that a history can be cut between any two of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from deployments.domain import steps, undo
from deployments.domain.plan import Plan
from deployments.domain.strategies.decision import even

Effect = Iterator[None]


@dataclass
class ModelledWorld:
    """What the proxy, the supervisor, the provisioner and the record hold. Breaking a rule fails an assertion."""

    ports: dict[str, int] = field(default_factory=dict)
    """By service: the public port of its route."""
    recorded: dict[str, int] = field(default_factory=dict)
    """The same as the record has it."""
    weights: dict[str, dict[str, int]] = field(default_factory=dict)
    """By service with a route: what is attached."""
    on_disk: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By service with a route: what a restarted proxy serves."""
    running: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    handle: dict[str, dict[str, int]] | None = None
    resources: set[str] = field(default_factory=set)
    files: dict[str, object] = field(default_factory=dict)
    stable: dict[str, tuple[str, ...]] = field(default_factory=dict)
    is_past_return: bool = False

    def copy(self) -> ModelledWorld:
        """As it is now."""
        return deepcopy(self)

    def serves(self, service: str) -> bool:
        """Whether requests reach a running instance, or wait."""
        weights = self.weights.get(service, {})
        return service in self.held or any(weight and name in self.running for name, weight in weights.items())

    def set_weights(self, service: str, wanted: Mapping[str, int]) -> None:
        """As the proxy does: unknown ones are refused, and so is leaving nobody who is up."""
        present = self.weights[service]
        assert set(wanted) <= set(present), f"not attached: {set(wanted) - set(present)}"
        after = {name: wanted.get(name, 0) for name in present}
        if service not in self.held and any(present.values()):
            assert any(after.values()), f"nobody of {service} would have weight"
            served = any(present[name] and name in self.running for name in present)
            assert not served or any(after[name] and name in self.running for name in after)
        self.weights[service] = after

    def stop(self, service: str, instance: str) -> None:
        """Nobody is stopped whom requests still reach."""
        has_weight = self.weights.get(service, {}).get(instance, 0) > 0
        assert not has_weight or service in self.held or instance not in self.running, f"{instance} has traffic"
        self.running.discard(instance)

    def remove(self, service: str, instance: str) -> Effect:
        """Detach, then stop."""
        if instance in self.weights.get(service, {}):
            assert not self.weights[service][instance], f"{instance} has weight"
            assert not (self.handle or {}).get(service, {}).get(instance, 0), f"the handle returns to {instance}"
            del self.weights[service][instance]
            yield
        self.stop(service, instance)
        yield

    def serve_on(self, ports: Mapping[str, int]) -> None:
        """One reload: these routes have these ports, the others theirs."""
        self.ports |= ports
        assert len(set(self.ports.values())) == len(self.ports), f"two routes on one port: {self.ports}"
        for service in ports:
            self.weights.setdefault(service, {})
            self.on_disk.setdefault(service, ())

    def fire(self) -> None:
        """The dead man's handle returns the traffic, and is gone once the next controller has looked at it."""
        for service, wanted in (self.handle or {}).items():
            self.held.discard(service)
            self.weights[service] = {name: wanted.get(name, 0) for name in self.weights[service]}
        self.handle = None

    def restart_proxy(self) -> None:
        """It serves what is on disk; splits, holds, the handle and what was attached since are lost."""
        full = 256
        self.weights = {name: dict.fromkeys(self.on_disk[name], full) for name in self.ports}
        self.held, self.handle = set(), None

    def forward(self, action: Any, plan: Plan) -> Effect:
        """The effect of a step on the way forward."""
        return FORWARD.get(type(action), nothing)(self, action, plan)

    def back(self, action: Any) -> Effect:
        """The effect of a step on the way back."""
        return BACK[type(action)](self, action)


def nothing(world: ModelledWorld, action: object, plan: Plan) -> Effect:
    """Builds, looks and reports change nothing that is taken back."""
    yield


def provision_resource(world: ModelledWorld, action: steps.ProvisionResource, plan: Plan) -> Effect:
    world.resources.add(action.key)
    yield


def declare_routes(world: ModelledWorld, action: steps.DeclareRoutes, plan: Plan) -> Effect:
    chosen = {name: 20000 + index for index, name in enumerate(sorted(action.ports))}
    world.serve_on({name: port or world.ports.get(name, chosen[name]) for name, port in action.ports.items()})
    yield
    world.recorded |= {name: world.ports[name] for name in action.ports}
    yield


def render_configuration(world: ModelledWorld, action: steps.RenderConfiguration, plan: Plan) -> Effect:
    world.files[action.key] = (action.revision, dict(world.ports))
    yield


def hold_traffic(world: ModelledWorld, action: steps.HoldTraffic, plan: Plan) -> Effect:
    assert action.service in world.weights
    world.held.add(action.service)
    yield


def release_traffic(world: ModelledWorld, action: steps.ReleaseTraffic, plan: Plan) -> Effect:
    world.held.discard(action.service)
    yield


def stop_instance(world: ModelledWorld, action: steps.StopInstance, plan: Plan) -> Effect:
    world.stop(action.service, action.instance)
    yield


def start_instance(world: ModelledWorld, action: steps.StartInstance, plan: Plan) -> Effect:
    world.running.add(action.instance)
    yield


def await_healthy(world: ModelledWorld, action: steps.AwaitHealthy, plan: Plan) -> Effect:
    assert action.instance in world.running
    yield


def attach_instance(world: ModelledWorld, action: steps.AttachInstance, plan: Plan) -> Effect:
    assert action.instance in world.running
    world.weights[action.service].setdefault(action.instance, 0)
    yield


def arm_handle(world: ModelledWorld, action: steps.ArmHandle, plan: Plan) -> Effect:
    armed = {name: even(plan.change(name).previous) for name in action.services}
    assert all(set(armed[name]) <= set(world.weights[name]) for name in armed)
    world.handle = armed
    yield


def shift_traffic(world: ModelledWorld, action: steps.ShiftTraffic, plan: Plan) -> Effect:
    assert {name for name, weight in action.weights.items() if weight} <= world.running
    world.set_weights(action.service, action.weights)
    yield


def mark_stable(world: ModelledWorld, action: steps.MarkStable, plan: Plan) -> Effect:
    world.stable |= {name: plan.change(name).instances for name in action.services}
    world.is_past_return = True
    yield


def promote_routes(world: ModelledWorld, action: steps.PromoteRoutes, plan: Plan) -> Effect:
    for name in action.services:
        yield from everything(world, name, plan)
    world.on_disk |= {name: plan.change(name).instances for name in action.services}
    yield


def everything(world: ModelledWorld, service: str, plan: Plan) -> Effect:
    """All traffic to the new release, where it has not got it."""
    new = plan.change(service).instances
    if not all(world.weights[service].get(instance) for instance in new):
        for instance in new:
            world.weights[service].setdefault(instance, 0)
            yield
        world.set_weights(service, even(new))
        yield


def disarm_handle(world: ModelledWorld, action: steps.DisarmHandle, plan: Plan) -> Effect:
    world.handle = None
    yield
    for step in plan.steps:
        for name in step.action.services if isinstance(step.action, steps.PromoteRoutes) else ():
            yield from everything(world, name, plan)


def retire_instance(world: ModelledWorld, action: steps.RetireInstance, plan: Plan) -> Effect:
    return world.remove(action.service, action.instance)


def remove_temporary(world: ModelledWorld, action: steps.RemoveTemporary, plan: Plan) -> Effect:
    world.resources.discard(action.key)
    yield


FORWARD: Mapping[type, Callable[[ModelledWorld, Any, Plan], Effect]] = {
    steps.ProvisionResource: provision_resource,
    steps.DeclareRoutes: declare_routes,
    steps.RenderConfiguration: render_configuration,
    steps.HoldTraffic: hold_traffic,
    steps.ReleaseTraffic: release_traffic,
    steps.StopInstance: stop_instance,
    steps.StartInstance: start_instance,
    steps.AwaitHealthy: await_healthy,
    steps.AttachInstance: attach_instance,
    steps.ArmHandle: arm_handle,
    steps.ShiftTraffic: shift_traffic,
    steps.MarkStable: mark_stable,
    steps.PromoteRoutes: promote_routes,
    steps.DisarmHandle: disarm_handle,
    steps.RetireInstance: retire_instance,
    steps.RemoveTemporary: remove_temporary,
}


def return_traffic(world: ModelledWorld, action: undo.ReturnTraffic) -> Effect:
    known = world.weights.get(action.service, {})
    wanted = {name: weight for name, weight in action.weights.items() if name in known}
    if not any(wanted.values()):
        world.held.add(action.service)
        yield
        wanted |= even(sorted(set(known) - set(wanted)))
    if known:
        world.set_weights(action.service, wanted)
        yield
    world.held.discard(action.service)
    yield


def restart_previous(world: ModelledWorld, action: undo.RestartPrevious) -> Effect:
    has_route = action.service in world.weights
    if has_route:
        world.held.add(action.service)
        yield
    for instance in action.new:
        world.stop(action.service, instance)
        yield
    for instance in action.instances:
        world.running.add(instance)
        yield
        if has_route:
            world.weights[action.service].setdefault(instance, 0)
            yield
    if has_route:
        world.set_weights(action.service, even(action.instances))
        yield
        world.held.discard(action.service)
        yield


def undo_handle(world: ModelledWorld, action: undo.UndoHandle) -> Effect:
    world.handle = None
    yield


def remove_instance(world: ModelledWorld, action: undo.RemoveInstance) -> Effect:
    return world.remove(action.service, action.instance)


def remove_routes(world: ModelledWorld, action: undo.RemoveRoutes) -> Effect:
    forget(action.services, world.ports, world.weights, world.on_disk)
    world.held -= set(action.services)
    yield
    forget(action.services, world.recorded)
    yield


def restore_routes(world: ModelledWorld, action: undo.RestoreRoutes) -> Effect:
    world.serve_on(action.ports)
    yield
    world.recorded |= action.ports
    yield


def remove_configuration(world: ModelledWorld, action: undo.RemoveConfiguration) -> Effect:
    forget([action.key], world.files)
    yield


def remove_resource(world: ModelledWorld, action: undo.RemoveResource) -> Effect:
    world.resources.discard(action.key)
    yield


BACK: Mapping[type, Callable[[ModelledWorld, Any], Effect]] = {
    undo.ReturnTraffic: return_traffic,
    undo.RestartPrevious: restart_previous,
    undo.UndoHandle: undo_handle,
    undo.RemoveInstance: remove_instance,
    undo.RemoveRoutes: remove_routes,
    undo.RestoreRoutes: restore_routes,
    undo.RemoveConfiguration: remove_configuration,
    undo.RemoveResource: remove_resource,
}


def forget(names: Iterable[str], *books: dict[str, Any]) -> None:
    """Strike these names out; one that is not there is fine."""
    for book in books:
        for name in names:
            book.pop(name, None)
