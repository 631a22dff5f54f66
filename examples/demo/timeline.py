"""The story as the records tell it: a line for each event that visitors could have noticed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Event = Mapping[str, Any]
WHOLE = {
    "DeploymentCreated": "deployment begins",
    "DeploymentCompleted": "completed",
    "DeploymentRolledBack": "rolled back",
    "RollbackFailed": "the rollback failed",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """What happened, in words; `at` in seconds since 1970."""

    at: float
    deployment: str
    words: str


def moments(deployment: str, events: Iterable[Event]) -> list[Moment]:
    """The events that matter to visitors, oldest first."""
    found = [Moment(seconds(event), deployment, words) for event in events if (words := words_of(event))]
    return sorted(found, key=lambda moment: moment.at)


def words_of(event: Event) -> str | None:
    """None for what visitors could not notice."""
    kind, step, data = event["kind"], event.get("step") or "", event.get("data") or {}
    if kind == "StepDone" and step.startswith("shift:"):
        return f"traffic moved: {split(data)}"
    if kind == "StepDone" and step == "bake":
        return "watched under load: good"
    if kind == "StepFailed" and step == "bake":
        return f"watched under load: {event.get('message')}"
    if kind == "StepUndone" and step.startswith("undo:traffic:"):
        return f"traffic returned: {split(data)}"
    return WHOLE.get(kind)


def split(data: Mapping[str, Any]) -> str:
    """Shares by instance, without those that get nothing."""
    weights = {name: weight for name, weight in ((data.get("receipt") or {}).get("weights") or {}).items() if weight}
    total = sum(weights.values()) or 1
    return ", ".join(f"{name} {100 * weight / total:.0f}%" for name, weight in sorted(weights.items()))


def decided_at(events: Sequence[Event]) -> float | None:
    """When it was known that the release is bad, seconds since 1970."""
    return min((seconds(event) for event in events if is_decision(event)), default=None)


def is_decision(event: Event) -> bool:
    """Either the bake's verdict, or the record of the failure: whichever was written first."""
    return event["kind"] == "DeploymentFailed" or (event["kind"] == "StepFailed" and event.get("step") == "bake")


def seconds(event: Event) -> float:
    """The event's time, seconds since 1970."""
    return datetime.fromisoformat(event["at"]).timestamp()
