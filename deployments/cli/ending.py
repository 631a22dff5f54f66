"""How a deployment ended: for people, for machines, and as an exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deployments.cli import failing
from deployments.cli.output import Output
from deployments.cli.words import duration, services_words
from deployments.domain.errors import (
    Broken,
    Cancelled,
    ControllerLost,
    DeploymentError,
    HandleTripped,
    LeaseLost,
    Refused,
    Unavailable,
)
from deployments.domain.status import DeploymentStatus, Reason

if TYPE_CHECKING:
    from deployments.cli.deploying import Ending
    from deployments.domain.entities import Deployment

S = DeploymentStatus
MOST_ROUTES = 20
TOLD = {
    S.ROLLED_BACK: "everything it had touched is taken back; what ran before runs",
    S.FAILED: "it ended before it had changed what runs",
    S.CANCELLED: "it ended before it had changed what runs",
    S.TIMED_OUT: "it ended before it had changed what runs",
    S.ROLLBACK_FAILED: "the way back could not be finished",
    S.ROLLING_BACK: "its way back is left to the next command, or to `fairlead up`",
}


BY_REASON: dict[Reason, type[DeploymentError]] = {
    Reason.REFUSED: Refused,
    Reason.UNAVAILABLE: Unavailable,
    Reason.CANCELLED: Cancelled,
    Reason.CONTROLLER_LOST: ControllerLost,
    Reason.LEASE_LOST: LeaseLost,
    Reason.HANDLE_TRIPPED: HandleTripped,
}


def error_of(ending: Ending) -> BaseException | None:
    """What ended it. Where Prefect's own trouble hides that (its server was away), the record knows."""
    record, error = ending.record, ending.error
    if error is None or isinstance(error, DeploymentError) or record is None or not record.is_final:
        return error
    if record.status is S.COMPLETED or record.reason in (Reason.NONE, Reason.BROKEN):
        return error
    return BY_REASON.get(record.reason, Broken)(record.message)


def code_of(ending: Ending) -> int:
    """Of the error; a person's interruption that was obeyed is told apart from a failure."""
    if ending.record is not None and ending.record.status is S.COMPLETED:
        return failing.OK
    if ending.record is not None and ending.record.status is S.ROLLBACK_FAILED:
        return failing.BROKEN
    if ending.record is not None and ending.record.reason is Reason.CANCELLED:
        return failing.CANCELLED
    error = error_of(ending)
    return failing.UNEXPECTED if error is None else failing.exit_code(error)


def tell_ending(ending: Ending, output: Output, environment: str, *, is_beside_json: bool = False) -> int:
    """The last lines; returns the exit code."""
    say = output.complain if is_beside_json else output.line
    record, code = ending.record, code_of(ending)
    if record is not None and record.status is S.COMPLETED:
        say(output.styled(completed(record), "green"))
        for service, url in list(ending.routes.items())[:MOST_ROUTES]:
            say(f"  {service}: {url}")
        if len(ending.routes) > MOST_ROUTES:
            say(f"  and {len(ending.routes) - MOST_ROUTES} more: fairlead status {environment}")
        if ending.was_interrupted:
            from deployments.cli.deploying import TOO_LATE

            say(TOO_LATE.format(environment))
        return code
    if record is not None:
        say(
            output.styled(
                f"{record.name}: {record.status.value.replace('_', ' ')}: {TOLD.get(record.status, '')}", "yellow"
            )
        )
    error = error_of(ending)
    if error is not None:
        failing.tell(error, output)
    if record is not None:
        output.complain(f"  details: fairlead show {record.name}")
    return code


def completed(record: Deployment) -> str:
    """What is different now."""
    if record.reason is Reason.NOTHING_TO_DO:
        return f"{record.environment} is as asked already; nothing was done."
    if record.specification.get("skip_deploy"):
        return f"{record.name}: the releases are built; nothing was deployed (skip_deploy)."
    took = duration(record.finished_at - record.created_at if record.finished_at else None)
    return f"{record.name} completed in {took}: {services_words(record.services)} in {record.environment}."


def document(ending: Ending) -> dict[str, object]:
    """The outcome for machines."""
    record, error = ending.record, error_of(ending)
    found: dict[str, object] = {
        "exit_code": code_of(ending),
        "error": None if error is None else failing.to_json(error),
        "was_interrupted": ending.was_interrupted,
        "routes": dict(ending.routes),
    }
    if record is None:
        return {"deployment": None, "status": None, **found}
    return {
        "deployment": record.id,
        "name": record.name,
        "environment": record.environment,
        "status": record.status,
        "reason": record.reason,
        "message": record.message,
        "services": dict(record.services),
        "created_at": record.created_at,
        "finished_at": record.finished_at,
        "steps_done": record.steps_done,
        "steps_total": record.steps_total,
        "flow_run": record.flow_run,
        **found,
    }
