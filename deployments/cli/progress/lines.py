"""One event as one line, for logs and pipes."""

from __future__ import annotations

from collections.abc import Mapping

from deployments.cli.output import cell
from deployments.cli.progress.words import UNDO, split_words, step_words
from deployments.domain.events import DeploymentEvent, DeploymentEventKind, Event, ResourceEvent

K = DeploymentEventKind
QUIET = frozenset({K.STEP_INTENDED, K.STEP_UNDO_INTENDED})
"""Told when they are done; what takes long is on the board meanwhile."""
SLOW = ("build:", "healthy:", "bake", "hold:", "stop:")
"""Steps whose beginning is worth a line: what is waited for has a name."""


def line_of(event: Event) -> str | None:
    """`HH:MM:SS  what happened`, or None for what is not worth a line."""
    told = words_of(event)
    return None if told is None else f"{event.at.astimezone():%H:%M:%S}  {told}"


def words_of(event: Event) -> str | None:
    """What happened, in words."""
    match event:
        case DeploymentEvent():
            return deployment_words(event)
        case ResourceEvent():
            return None
        case _:
            return f"security: {cell(event.message or event.kind.value)}"


def deployment_words(event: DeploymentEvent) -> str | None:
    """Of an event of the deployment itself."""
    step, message = event.step or "", cell(event.message) if event.message else ""
    match event.kind:
        case K.STEP_INTENDED if not step.startswith(SLOW):
            return None
        case K.STEP_INTENDED | K.STEP_UNDO_INTENDED:
            return None if step.startswith(UNDO) else f"{step_words(step, is_done=False)} ..."
        case K.STEP_DONE | K.STEP_UNDONE:
            return f"{step_words(step, is_done=True)}{proof(event)}"
        case K.STEP_FAILED | K.STEP_UNDO_FAILED:
            return f"attempt failed: {step_words(step, is_done=False)}: {message}"
        case K.STATUS_CHANGED:
            return state_words(event.data, message)
        case K.PLANNED:
            return f"planned {event.data.get('steps', 0)} steps{': ' + message if message else ''}"
        case K.VALIDATED:
            return None if event.data.get("is_valid") and event.data.get("is_complete", True) else f"rule: {message}"
        case K.FAILED | K.COMPLETED | K.ROLLED_BACK | K.ROLLBACK_FAILED:
            return state_words(event.data, message)
        case _:
            return message or event.kind.value


def state_words(data: Mapping[str, object], message: str) -> str:
    """`== deploying`, with the reason for a bad end."""
    state = str(data.get("to", "")).replace("_", " ")
    return f"== {state}{': ' + message if message else ''}"


def proof(event: DeploymentEvent) -> str:
    """What of the receipt people want to see."""
    receipt = event.data.get("receipt")
    if not isinstance(receipt, Mapping):
        return ""
    weights = receipt.get("weights")
    if isinstance(weights, Mapping) and (event.step or "").startswith(("shift:", "undo:traffic")):
        return f" ({split_words(weights)})"
    if "port" in receipt and (event.step or "").startswith("start:"):
        return f" on port {receipt['port']}"
    if "seconds" in receipt and (event.step or "").startswith("healthy:"):
        return f" after {receipt['seconds']} s"
    return ""
