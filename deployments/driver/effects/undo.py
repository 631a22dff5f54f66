"""Effects of the way back. Each is fine with finding that there is nothing to take back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from deployments.domain import undo
from deployments.domain.codec import program_from_json
from deployments.domain.entities import InstanceLife, Route
from deployments.domain.ports import Endpoint, InstanceState, ResourceRequest
from deployments.domain.strategies.decision import even
from deployments.driver.effects.instances import ask_until_healthy, drain, remove_instance
from deployments.driver.effects.traffic import set_weights
from deployments.driver.run import Run
from deployments.driver.waiting import wait_until

NOBODY_LIVES = timedelta(seconds=5)
"""How long requests wait while a service that had nobody to serve it gets nobody back."""


def return_traffic(action: undo.ReturnTraffic, run: Run) -> dict[str, object]:
    """Old instances first get everything, then the new ones nothing; held requests go on.

    One that has died meanwhile is started again and gets nothing for now; where all have, they are awaited first.
    """
    known = {b.endpoint.instance for b in run.backends(action.service)}
    returning = [name for name, weight in action.weights.items() if weight and name in known]
    living = [name for name in returning if is_running(run, name)]
    for name in returning:
        if not living:
            restart_one(action.service, name, run)
        elif name not in living:
            start_again(name, run)
    weights = {name: 0 for name in action.weights if name in known} | even(living or returning)
    if not returning:
        # The proxy takes the last one's weight only while requests wait. What else it knows may still come up.
        run.proxy.hold(action.service, NOBODY_LIVES, fence=run.fence)
        weights |= even(sorted(known - set(weights)))
    found = set_weights(run, action.service, weights) if known else {}
    run.proxy.unhold(action.service, fence=run.fence)
    return found


def is_running(run: Run, instance: str) -> bool:
    """As its supervisor has it, which knows of an end before the proxy does."""
    return run.world.supervisor.observe(instance).state is InstanceState.RUNNING


def start_again(instance: str, run: Run) -> None:
    """From its recorded program, on its own port."""
    program = program_from_json(run.world.records.instances.get(instance).program)
    run.world.supervisor.ensure_started(program, fence=run.fence)


def restart_previous(action: undo.RestartPrevious, run: Run) -> dict[str, object]:
    """Hold, stop the new, start the old from its recorded program, await it, give it the traffic.

    A worker has no traffic to hold or to give.
    """
    has_route = any(route.service == action.service for route in run.proxy.routes())
    if has_route:
        run.proxy.hold(action.service, timedelta(seconds=action.hold_seconds), fence=run.fence)
    for instance in action.new:
        grace = run.specification.rollback_procedures.stop_grace
        run.world.supervisor.ensure_stopped(instance, grace=grace, fence=run.fence)
    for instance in action.instances:
        restart_one(action.service, instance, run)
    if not has_route:
        return {}
    found = set_weights(run, action.service, even(action.instances))
    run.proxy.unhold(action.service, fence=run.fence)
    return found


def restart_one(service: str, instance: str, run: Run) -> None:
    """Start one stopped instance again, on its own port, and wait until proxy and health checks see it."""
    known = run.world.records.instances.get(instance)
    start_again(instance, run)
    specification = run.service(service)
    ask_until_healthy(
        run,
        instance,
        checks=specification.health_checks,
        deadline=specification.timing.healthy_deadline,
        min_healthy=timedelta(0),
    )
    proxy = run.proxy
    if not any(route.service == service for route in proxy.routes()):
        return
    proxy.attach(service, Endpoint(instance, known.port or 0, known.revision), fence=run.fence)
    wait_until(
        run,
        lambda: any(b.endpoint.instance == instance and b.is_up for b in proxy.backends(service)),
        timedelta(seconds=15),
    )
    run.world.records.instances.set_state(run.lease, instance, InstanceLife.SERVING)


def undo_handle(action: undo.UndoHandle, run: Run) -> dict[str, object]:
    """Disarm it: the traffic is back."""
    run.proxy.disarm_handle(fence=run.fence)
    return {}


def remove_new_instance(action: undo.RemoveInstance, run: Run) -> dict[str, object]:
    """Let it answer what it has begun, then detach and stop it. All instances share one time to drain."""
    now = run.world.clock.monotonic()
    run.returned_at = now if run.returned_at is None else run.returned_at
    spent = timedelta(seconds=now - run.returned_at)
    left = max(timedelta(0), run.specification.rollback_procedures.drain - spent)
    drain(run, action.service, action.instance, deadline=left)
    remove_instance(run, action.service, action.instance)
    return {}


def remove_routes(action: undo.RemoveRoutes, run: Run) -> dict[str, object]:
    """Remove the routes that were new, and give their ports back."""
    run.proxy.remove_routes(action.services, fence=run.fence)
    for service in action.services:
        run.world.provisioner.release_port(f"{run.environment}.{service}.route")
        run.world.provisioner.release_port(f"{run.environment}.{service}.preview")
    run.world.records.routes.remove(run.lease, action.services)
    return {}


def restore_routes(action: undo.RestoreRoutes, run: Run) -> dict[str, object]:
    """Give moved routes their former public ports in one reload; one that is gone stays gone."""
    present = {route.service: route for route in run.proxy.routes()}
    back = [replace(present[name], port=port) for name, port in action.ports.items() if name in present]
    if back:
        run.proxy.ensure_routes(back, fence=run.fence)
        routes = [Route(run.environment, route.service, route.port, route.preview_port) for route in back]
        run.world.records.routes.record(run.lease, routes)
    return {"ports": {route.service: route.port for route in back}}


def remove_configuration(action: undo.RemoveConfiguration, run: Run) -> dict[str, object]:
    """Remove the files, unless others live of them: plans made before named them by the revision alone."""
    others = (i for i in run.world.records.instances.of_environment(run.environment) if i.deployment != run.deployment)
    if action.key not in {f"{run.environment}.{i.service}.{i.revision}" for i in others}:
        run.world.provisioner.remove_configuration(action.key)
    return {}


def remove_resource(action: undo.RemoveResource, run: Run) -> dict[str, object]:
    """Remove what this deployment made."""
    run.world.provisioner.remove(ResourceRequest(action.key, action.resource, action.name, run.environment))
    run.world.records.resources.remove(run.lease, action.key)
    return {}


UNDO_EFFECTS: dict[type[object], Callable[[Any, Run], dict[str, object]]] = {
    undo.ReturnTraffic: return_traffic,
    undo.RestartPrevious: restart_previous,
    undo.UndoHandle: undo_handle,
    undo.RemoveInstance: remove_new_instance,
    undo.RemoveRoutes: remove_routes,
    undo.RestoreRoutes: restore_routes,
    undo.RemoveConfiguration: remove_configuration,
    undo.RemoveResource: remove_resource,
}
