"""The way back, and the way on for what nobody drives: works from the journal alone, with Prefect gone.

Failing and the plan to undo are one transaction; then traffic moves first. Every undo step is journalled like a step
forward, so that a way back that is cut short is taken up where it stopped by whoever comes next.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from deployments.domain.codec import undo_from_json, undo_to_json
from deployments.domain.errors import (
    Cancelled,
    ControllerLost,
    DatabaseUnavailable,
    DeploymentError,
    DiskFull,
    HandleTripped,
    LeaseLost,
    StaleFence,
    Unavailable,
    UndoFailed,
)
from deployments.domain.events import DeploymentEventKind
from deployments.domain.failing import blames_revision, reason_of, status_of
from deployments.domain.spec.specification import OnControllerLost
from deployments.domain.status import DeploymentStatus, Reason
from deployments.domain.steps import Phase
from deployments.domain.undo import UndoStep, plan_undo, traffic_of, what_is_left
from deployments.driver.effects.undo import UNDO_EFFECTS
from deployments.driver.ending import end
from deployments.driver.forward import drive_phase, go_forward
from deployments.driver.opening import highest_fence
from deployments.driver.run import Run
from deployments.store.commands import Command

UNDO_DELAYS = tuple(timedelta(seconds=s) for s in (0.2, 0.5, 1, 2, 4, 8, 8, 8))
"""An undo is repeated through a minute of something being away."""


RETURNED = "The dead man's handle had returned the traffic."
MOST_RESUMPTIONS = 3
"""Controllers that a deployment may lose and still go on."""


def fail(run: Run, error: BaseException) -> DeploymentStatus:
    """End the deployment because of `error`: undo what was touched, or just fail when nothing was.

    Returns the status it ends in. Raises LeaseLost when somebody else drives it by now, and leaves it to them.
    """
    if isinstance(error, LeaseLost):
        raise error
    run.pass_cancelling()
    if is_past_return(run):
        return finish(run)
    if isinstance(error, HandleTripped | StaleFence):
        refence(run)
    records = run.world.records.deployments
    undo = plan_undo(run.plan, journal_of(run))
    message = error.message if isinstance(error, DeploymentError) else f"{type(error).__name__}: {error}"
    status, reason = status_of(error), reason_of(error)
    if not undo:
        records.advance(run.lease, run.deployment, status, reason=reason, message=message)
        return end(run, status)
    records.fail_and_plan_undo(
        run.lease, run.deployment, status=status, reason=reason, message=message, undo=undo_to_json(undo)
    )
    return undo_as_asked(run, undo, reason=reason, message=message)


def undo_as_asked(run: Run, undo: tuple[UndoStep, ...], *, reason: Reason, message: str) -> DeploymentStatus:
    """All of it; or, where the specification says so, the traffic at once and the rest when a person says."""
    if run.specification.rollback_procedures.automatic:
        return undo_all(run, undo, reason=reason, message=message)
    waiting = (
        f"{message} Traffic is back on the old release; the rest waits for a person (rollback_procedures.automatic is "
        f"false): fairlead rollback --resume {run.deployment}."
    )
    return undo_all(run, traffic_of(undo), reason=reason, message=waiting, ends_in=DeploymentStatus.ROLLBACK_FAILED)


def undo_all(
    run: Run,
    undo: tuple[UndoStep, ...],
    *,
    reason: Reason,
    message: str,
    ends_in: DeploymentStatus = DeploymentStatus.ROLLED_BACK,
) -> DeploymentStatus:
    """Take every step back; ends in rolled_back, or in rollback_failed with what is left for a person."""
    records = run.world.records.deployments
    try:
        drive_undo(run, undo)
    except UndoFailed as error:
        records.advance(
            run.lease,
            run.deployment,
            DeploymentStatus.ROLLBACK_FAILED,
            reason=Reason.UNDO_FAILED,
            message=f"{error.message} {error.remedy}",
        )
        return end(run, DeploymentStatus.ROLLBACK_FAILED)
    if blames_revision(reason):
        quarantine(run, message)
    records.advance(run.lease, run.deployment, ends_in, reason=reason, message=message)
    return end(run, ends_in)


def quarantine(run: Run, reason: str) -> None:
    """No loops: what was rolled back is not deployed here again, except the revision that serves all the while."""
    stable = run.world.records.stables.current(run.environment)
    serving = {release.revision for release in stable.values()}
    for change in run.plan.changes:
        is_new = change.instances and not change.reused and change.kind != "unchanged"
        if is_new and change.revision not in serving:
            run.world.records.quarantine.add(
                run.lease,
                revision=change.revision,
                service=change.service,
                deployment=run.deployment,
                reason=reason,
            )


def drive_undo(run: Run, undo: tuple[UndoStep, ...]) -> None:
    """Each step in order, journalled; raises UndoFailed naming the steps that are left."""
    for index, step in enumerate(undo):
        try:
            undo_one(run, step)
        except (LeaseLost, DatabaseUnavailable, DiskFull):
            raise  # the records were waited for: who can write them again goes on from here
        except DeploymentError as error:
            left = [other.key for other in undo[index:]]
            contact = run.specification.emergency_procedures.contact
            raise UndoFailed(
                f"{step.key} could not be undone: {error.message} Left to do: {', '.join(left)}.",
                remedy=f"Mend the cause, then: fairlead rollback --resume {run.deployment}."
                + (f" Contact: {contact}." if contact else ""),
                left=left,
            ) from error


def undo_one(run: Run, step: UndoStep) -> None:
    """Intent, effect, receipt; repeated while something outside is away."""
    if step.key in run.receipts:
        return
    journal = run.world.records.journal

    def once() -> None:
        journal.intend(run.lease, run.deployment, step.key, undo_to_json([step])[0])
        values = UNDO_EFFECTS[type(step.action)](step.action, run)
        journal.receipt(run.lease, run.deployment, step.key, values)
        run.receipts[step.key] = values

    patiently(run, once)


def patiently(run: Run, once: Callable[[], None]) -> None:
    """Repeat through Unavailable, and take a higher fence when the data plane has seen one.

    Records that are away have been waited for by whoever asked them.
    """
    for delay in (*UNDO_DELAYS, None):
        try:
            once()
            return
        except (HandleTripped, StaleFence):
            if delay is None:
                raise
            refence(run)
        except (DatabaseUnavailable, DiskFull):
            raise
        except Unavailable:
            if delay is None:
                raise
            run.world.clock.sleep(delay)
            with suppress(Unavailable, StaleFence, HandleTripped):
                run.proxy.ensure_running(fence=run.fence)


def refence(run: Run) -> None:
    """Take the lease again with a fence above everything the data plane has seen (the handle fired and raised it)."""
    proxy = run.proxy
    run.lease = run.world.records.leases.refence(run.lease, minimum_fence=highest_fence(run.world, run.environment))
    proxy.ensure_running(fence=run.lease.fence)
    proxy.disarm_handle(fence=run.lease.fence)
    run.world.records.deployments.note(run.lease, run.deployment, "TrafficReturned", RETURNED)


def journal_of(run: Run) -> dict[str, dict[str, object] | None]:
    """Every step with an intent: its receipt's values, or None while it is in doubt."""
    return {
        entry.key: dict(entry.values) if entry.is_done else None
        for entry in run.world.records.journal.entries(run.deployment)
    }


def is_past_return(run: Run) -> bool:
    """Whether its releases are stable: the record says so even where its controller died before the receipt."""
    return "stable" in run.receipts or bool(run.world.records.stables.of_deployment(run.deployment))


def finish(run: Run) -> DeploymentStatus:
    """Past the point of no return there is only forward: do what is left of the completion."""
    run.pass_cancelling()
    patiently(run, lambda: drive_phase(run, run.plan, Phase.COMPLETION))
    records = run.world.records.deployments
    if records.get(run.deployment).status is not DeploymentStatus.COMPLETED:
        records.advance(run.lease, run.deployment, DeploymentStatus.COMPLETED)
    return end(run, DeploymentStatus.COMPLETED)


def take_up(run: Run) -> DeploymentStatus:
    """Drive a deployment that somebody else left: on, or back, as its record and its specification say."""
    record = run.world.records.deployments.get(run.deployment)
    if record.status is DeploymentStatus.ROLLING_BACK:
        run.pass_cancelling()
        undo = undo_from_json(run.world.records.deployments.undo_plan(run.deployment))
        way_back = undo_all if was_resumed(run) else undo_as_asked
        return way_back(run, undo, reason=record.reason, message=record.message)
    if is_past_return(run):
        return finish(run)
    command = run.world.records.commands.pending(run.deployment)
    if command is not None:
        return fail(run, cancelled_by(command))
    if goes_on(run):
        return resume_forward(run)
    return fail(run, lost(record.status))


def goes_on(run: Run) -> bool:
    """Whether the specification wants a lost deployment to go on, and nothing speaks against it.

    Traffic that the dead man's handle returned is not moved a second time, a deployment that lost several controllers
    may be what they die of, and one that waited while a newer one became stable is not what anybody waits for.
    """
    wants = run.specification.emergency_procedures.on_controller_lost is OnControllerLost.RESUME
    if not wants or is_overtaken(run) or run.proxy.handle().has_fired:
        return False
    told = run.world.records.events.timeline(deployment=run.deployment)
    return sum(event.kind is DeploymentEventKind.TAKEN_OVER for event in told) <= MOST_RESUMPTIONS


def is_overtaken(run: Run) -> bool:
    """Whether another deployment became stable here since this one began, or since it was opened and never began."""
    records = run.world.records
    began = next((entry.intended_at for entry in records.journal.entries(run.deployment)), None)
    since = began or records.deployments.get(run.deployment).created_at
    stable = records.stables.current(run.environment).values()
    return any(one.since is not None and one.since > since for one in stable if one.deployment != run.deployment)


def was_resumed(run: Run) -> bool:
    """Whether a person has said already that the rest of the way back is to be done."""
    told = run.world.records.events.timeline(deployment=run.deployment)
    return any(event.kind is DeploymentEventKind.ROLLBACK_FAILED for event in told)


def resume_forward(run: Run) -> DeploymentStatus:
    """From where the journal stands; what fails on the way is taken back as ever."""
    try:
        go_forward(run)
    except LeaseLost:
        raise
    except Exception as error:  # noqa: BLE001 - whatever ends it, as in the flow
        return fail(run, error)
    return DeploymentStatus.COMPLETED


def resume_undo(run: Run) -> DeploymentStatus:
    """Take the way back again from its first step that has no receipt; planned anew where no plan was kept."""
    run.pass_cancelling()
    records = run.world.records.deployments
    record = records.get(run.deployment)
    undo = undo_from_json(records.undo_plan(run.deployment)) or plan_undo(run.plan, journal_of(run))
    if is_overtaken(run):
        stable = run.world.records.stables.current(run.environment).values()
        undo = what_is_left(undo, {endpoint.instance for release in stable for endpoint in release.endpoints})
    records.fail_and_plan_undo(
        run.lease,
        run.deployment,
        status=DeploymentStatus.FAILED,
        reason=record.reason,
        message=record.message,
        undo=undo_to_json(undo),
    )
    if not undo:
        return end(run, record.status)
    return undo_all(run, undo, reason=record.reason, message=record.message)


def cancelled_by(command: Command) -> Cancelled:
    """Why a deployment that a person ordered back is taken back."""
    return Cancelled(f"{command.by} asked to {command.kind}.", by=command.by)


def lost(status: DeploymentStatus) -> DeploymentError:
    """Why a deployment that nobody drove is taken back."""
    return ControllerLost(f"Its controller was lost while it was {status}; what it had touched is taken back.")
