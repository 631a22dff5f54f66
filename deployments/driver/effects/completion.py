"""Effects of the completion phase: the point of no return and what follows it."""

from __future__ import annotations

from deployments.domain.codec import program_from_json
from deployments.domain.errors import HandleTripped
from deployments.domain.ports import Endpoint, InstanceState
from deployments.domain.steps import AttachInstance, DisarmHandle, MarkStable, Phase, PromoteRoutes, WriteReport
from deployments.domain.strategies.decision import even
from deployments.driver.effects.instances import attach_instance, ensure_all_alive, restarts_of
from deployments.driver.effects.traffic import set_weights
from deployments.driver.reporting import report_of
from deployments.driver.run import Run
from deployments.store.stables import StableRelease


def mark_stable(action: MarkStable, run: Run) -> dict[str, object]:
    """Record all new releases as stable in one transaction.

    The handle is read first: one that fired has given the traffic back, and then nothing is stable. What the record
    says already, from before a receipt was lost, stays: there is no return from it.
    """
    if run.world.records.stables.of_deployment(run.deployment):
        return {"services": list(action.services)}
    if run.proxy.handle().has_fired:
        raise HandleTripped()
    ensure_all_alive(run, action.services, restarts_of(run, action.services))
    releases = []
    for name in action.services:
        change, service = run.plan.change(name), run.service(name)
        releases.append(
            StableRelease(
                service=name,
                revision=change.revision,
                release=change.release,
                version=change.version,
                endpoints=endpoints_of(run, name, change.instances),
                cpu=service.resources.cpu,
                memory_mb=service.resources.memory_mb,
            )
        )
    run.world.records.stables.mark(run.lease, run.deployment, releases)
    return {"services": list(action.services)}


def endpoints_of(run: Run, service: str, instances: tuple[str, ...]) -> tuple[Endpoint, ...]:
    """The new release's endpoints."""
    revision = run.plan.change(service).revision
    return tuple(Endpoint(name, run.port_of(name), revision) for name in instances)


def promote_routes(action: PromoteRoutes, run: Run) -> dict[str, object]:
    """Give the new releases everything, where a handle that fired has taken it back, and write them to disk."""
    stable = {}
    for service in action.services:
        ensure_everything(run, service)
        stable[service] = endpoints_of(run, service, run.plan.change(service).instances)
    run.proxy.promote(stable, fence=run.fence)
    return {service: [endpoint.instance for endpoint in endpoints] for service, endpoints in stable.items()}


def ensure_everything(run: Run, service: str) -> None:
    """All traffic to the new release; nothing is done where it has it.

    A proxy that was restarted before the promotion was written serves the old releases, and does not know the new.
    """
    change = run.plan.change(service)
    weights = {b.endpoint.instance: b.weight for b in run.backends(service)}
    if not all(weights.get(instance) for instance in change.instances):
        for instance in change.instances:
            if instance not in weights:
                ensure_process(run, instance)
                attach_instance(AttachInstance(service, instance), run)
        previous = [name for name in change.previous if name in weights]
        set_weights(run, service, {**even(change.instances), **even(previous, 0)})


def ensure_process(run: Run, instance: str) -> None:
    """Start it again where the machine was restarted and the supervisor with it: there is no other way than on."""
    supervisor = run.world.supervisor
    if supervisor.observe(instance).state not in (InstanceState.STARTING, InstanceState.RUNNING):
        known = run.world.records.instances.get(instance)
        supervisor.ensure_started(program_from_json(known.program), fence=run.fence)


def disarm_handle(action: DisarmHandle, run: Run) -> dict[str, object]:
    """Take the handle away, then see that the new releases have the traffic; a handle that is not armed is fine.

    A controller that died after the promotion leaves the handle armed. When it fires, the traffic is with the old
    releases while the new ones are stable: only once it is gone does what is given stay.
    """
    run.proxy.disarm_handle(fence=run.fence)
    for step in run.plan.of_phase(Phase.COMPLETION):
        for service in step.action.services if isinstance(step.action, PromoteRoutes) else ():
            ensure_everything(run, service)
    return {}


def write_report(action: WriteReport, run: Run) -> dict[str, object]:
    """Write everything that is known of the deployment into its record; writing again replaces it."""
    report = report_of(run)
    run.world.records.deployments.save_report(run.lease, run.deployment, report)
    return {"services": len(run.plan.changes)}
