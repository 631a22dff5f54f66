"""Takes up what nobody drives: deployments whose lease expired, instances whose warm time is over, and drift."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor, wait

from deployments.domain.entities import Deployment, Instance, InstanceLife
from deployments.domain.errors import Conflict, DeploymentError, LeaseHeld, LeaseLost, Refused, Unavailable
from deployments.domain.failing import reason_of, status_of
from deployments.domain.status import DeploymentStatus
from deployments.driver.holding import HeldLease
from deployments.driver.keeping import LeaseKeeper
from deployments.driver.looking import is_quiet
from deployments.driver.opening import is_here, owner_name, resume, take_lease
from deployments.driver.recovery import RETURNED, cancelled_by, lost, resume_undo, take_up
from deployments.driver.repairing import repair_environment
from deployments.driver.world import World
from deployments.store.leases import WAITING, Lease

log = logging.getLogger("fairlead.reconciler")
AT_ONCE = 8
"""Environments that are looked after at the same time."""


class Rounds:
    """Rounds over all environments, side by side: one whose way back takes its time keeps no other waiting."""

    def __init__(self, world: World) -> None:
        """Nothing is begun."""
        self._world = world
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="reconcile")
        self._under_way: dict[str, Future[list[str]]] = {}

    def begin(self) -> list[str]:
        """Look after every environment that is not being looked after; a line for each thing done since the last time.

        Raises Unavailable while the records are away.
        """
        done = self._finished()
        for name in self._world.records.environments.names():
            if name not in self._under_way:
                self._under_way[name] = self._pool.submit(reconcile_one, self._world, name)
        return done

    def end(self) -> list[str]:
        """Wait for what is under way; its lines."""
        wait(self._under_way.values())
        self._pool.shutdown()
        return self._finished()

    def _finished(self) -> list[str]:
        over = [name for name, future in self._under_way.items() if future.done()]
        return [line for name in over for line in self._under_way.pop(name).result()]


def reconcile_all(world: World) -> list[str]:
    """One round over every environment; a line for each thing done. What is away now is tried in the next round."""
    rounds = Rounds(world)
    return [*rounds.begin(), *rounds.end()]


def reconcile_one(world: World, environment: str) -> list[str]:
    """Everything that one environment is due."""
    done: list[str] = []
    try:
        done += reconcile_environment(world, environment)
        done += retire_due(world, environment)
        done += repair_environment(world, environment)
    except (Conflict, Unavailable) as error:
        log.warning("reconcile_postponed: %s: %s", environment, error)
    except Exception:  # whatever is wrong with one environment, the others are looked after
        log.exception("reconcile_failed: %s", environment)
    return done


def reconcile_environment(world: World, environment: str, *, excluding: str | None = None) -> list[str]:
    """Drive every deployment of the environment that is driven by nobody to its end.

    On a machine that never had its data plane, only those end that have touched nothing.
    """
    done = []
    for undriven in world.records.leases.undriven(world.timings.takeover - world.timings.lease):
        if undriven.environment != environment or undriven.deployment == excluding:
            continue
        record = world.records.deployments.get(undriven.deployment)
        try:
            status = take_over(world, record) if is_here(world, environment) else end_untouched(world, record)
        except (LeaseHeld, LeaseLost):
            continue
        except DeploymentError as error:
            log.warning("takeover_failed: %s: %s", record.name, error)
            continue
        if status is not None:
            done.append(f"{record.name}: taken over, {status.value}")
    return done


def end_untouched(world: World, record: Deployment) -> DeploymentStatus | None:
    """By the records alone, where there is no data plane. None for one that has touched its own, which is elsewhere."""
    records = world.records
    if records.journal.entries(record.id):
        return None
    lease = records.leases.acquire(record.environment, owner_name(), ttl=world.timings.lease)
    try:
        present = records.deployments.get(record.id)
        if present.is_final or records.journal.entries(record.id):
            return None
        world.machine.end_step_processes(record.id)
        command = records.commands.pending(record.id)
        error = lost(present.status) if command is None else cancelled_by(command)
        present = records.deployments.advance(
            lease, record.id, status_of(error), reason=reason_of(error), message=error.message
        )
        records.commands.obeyed(record.id)
        return present.status
    finally:
        records.leases.release(lease)


def left_beside(world: World, environment: str, deployment: str) -> Deployment | None:
    """Another deployment that has begun and has not ended: who holds the lease must not begin before it is over."""
    unfinished = world.records.deployments.unfinished(environment)
    return next((one for one in unfinished if one.id != deployment and one.status not in WAITING), None)


def give_way(world: World, lease: Lease, deployment: str) -> None:
    """Give the lease back and raise LeaseHeld when another deployment was lost between the last look and the lease."""
    left = left_beside(world, lease.environment, deployment)
    if left is not None:
        world.records.leases.release(lease)
        raise LeaseHeld(
            f"{left.name} is {left.status.value}, and nobody has brought it to its end yet.",
            remedy="Its controller is lost: `fairlead up`, or the next command, takes it over. See `fairlead status`.",
            environment=lease.environment,
            deployment=left.id,
        )


def take_over(world: World, record: Deployment) -> DeploymentStatus:
    """Take the lease with a higher fence, end what its steps left running, record why, and drive it on or back.

    One that was brought to its end before the lease was taken is left as it ended.
    """
    lease = take_lease(world, record.environment, owner_name())
    record = world.records.deployments.get(record.id)
    if record.is_final:
        world.records.leases.release(lease)
        return record.status
    world.machine.end_step_processes(record.id)
    run = resume(world, record, lease)
    with LeaseKeeper(run):
        note = run.world.records.deployments.note
        note(lease, record.id, "TakenOver", f"Nobody drove it: its lease had expired while it was {record.status}.")
        if run.proxy.handle().has_fired:
            note(lease, record.id, "TrafficReturned", RETURNED)
        return take_up(run)


def retire_due(world: World, environment: str) -> list[str]:
    """Retire instances whose warm time is over, under a lease of our own; postponed while somebody deploys.

    What is due is read again under the lease: a rollback may have made it stable meanwhile.
    """
    due = world.records.instances.due_for_retirement
    if not due(environment) or not is_quiet(world, environment) or not is_here(world, environment):
        return []
    try:
        with HeldLease(world, environment) as held:
            if not is_quiet(world, environment):
                return []
            return [f"{i.id}: retired" for i in due(environment) if retire(world, held, i)]
    except LeaseHeld:
        return []


def retire(world: World, held: HeldLease, instance: Instance) -> bool:
    """Forget it everywhere. False for one that has traffic, against the records: that is given to others first."""
    held.interruption.check()
    proxy, fence = world.proxy(instance.environment), held.lease.fence
    if any(route.service == instance.service for route in proxy.routes()):
        found = [b for b in proxy.backends(instance.service) if b.endpoint.instance == instance.id]
        if any(backend.weight for backend in found):
            return False
        if found:
            proxy.detach(instance.service, instance.id, fence=fence)
    world.supervisor.ensure_stopped(instance.id, grace=world.timings.lease / 2, fence=fence)
    world.provisioner.release_port(instance.id)
    world.records.instances.set_state(held.lease, instance.id, InstanceLife.RETIRED)
    return True


def bring_back_flow_run(world: World, flow_run: str, state: str) -> str:
    """What a hook asks for: drive the flow run's deployment to its end. Returns a line for the log.

    Another process that drives it keeps it. A crashed run's lease may still have seconds to live: it is waited for.
    """
    record = world.records.deployments.by_flow_run(flow_run)
    if record is None:
        return "it opened no deployment"
    end = world.clock.monotonic() + world.timings.takeover.total_seconds()
    while not record.is_final:
        try:
            return f"taken over, {take_over(world, record).value}"
        except (LeaseHeld, LeaseLost):
            if world.clock.monotonic() > end:
                return f"{record.name} is {record.status} and driven by another process"
        world.clock.sleep(world.poll * 10)
        record = world.records.deployments.get(record.id)
    return f"{record.name} is {record.status} already"


def resume_rollback(world: World, deployment: str) -> DeploymentStatus:
    """Finish a way back that a person was asked to help with, or that waited for one (`automatic: false`).

    Raises LeaseHeld while somebody else changes the environment, Refused when there is nothing to resume.
    """
    record = world.records.deployments.get(deployment)
    refuse_unless_resumable(record)
    reconcile_environment(world, record.environment)
    lease = take_lease(world, record.environment, owner_name())
    give_way(world, lease, deployment)
    record = world.records.deployments.get(deployment)
    if record.status not in RESUMABLE:  # somebody else has resumed it meanwhile
        world.records.leases.release(lease)
        return record.status
    run = resume(world, record, lease)
    with LeaseKeeper(run):
        return resume_undo(run)


def refuse_unless_resumable(record: Deployment) -> None:
    """Raise Refused when there is no way back to finish."""
    if record.status not in RESUMABLE:
        raise Refused(
            f"{record.name} is {record.status}: there is no way back to finish.",
            remedy=f"To return to the release before: fairlead rollback {record.environment}.",
        )


RESUMABLE = (
    DeploymentStatus.ROLLBACK_FAILED,
    DeploymentStatus.FAILED,
    DeploymentStatus.CANCELLED,
    DeploymentStatus.TIMED_OUT,
)
