"""The story as the records tell it: a line for each event that visitors could have noticed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Event = Mapping[str, Any]
SUFFIX = 8
"""Letters of a deployment's id that name its instances."""
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


@dataclass(frozen=True, slots=True)
class Told:
    """One deployment as `fairlead show NAME --json` tells it."""

    name: str
    id: str
    versions: Mapping[str, str]
    """By service."""
    events: Sequence[Event]

    @classmethod
    def of(cls, shown: Mapping[str, Any]) -> Told:
        """From the document."""
        deployment = shown["deployment"]
        return cls(deployment["name"], deployment["id"], dict(deployment["services"]), shown["events"])

    @property
    def decided_at(self) -> float | None:
        """When it was recorded that the release is bad, seconds since 1970."""
        return min((seconds(event) for event in self.events if event["kind"] == "DeploymentFailed"), default=None)

    @property
    def returned_at(self) -> float | None:
        """When the traffic of all services was back, seconds since 1970."""
        return max((seconds(event) for event in self.events if is_return(event)), default=None)


def moments(all_told: Sequence[Told]) -> list[Moment]:
    """The events of all deployments that matter to visitors, oldest first."""
    versions = {told.id[-SUFFIX:]: told.versions for told in all_told}
    found = [
        Moment(seconds(event), told.name, words)
        for told in all_told
        for event in told.events
        if (words := words_of(event, versions))
    ]
    return sorted(found, key=lambda moment: moment.at)


def words_of(event: Event, versions: Mapping[str, Mapping[str, str]]) -> str | None:
    """None for what visitors could not notice."""
    kind, step, data = event["kind"], event.get("step") or "", event.get("data") or {}
    if kind == "StepDone" and step.startswith("shift:"):
        return f"traffic moved: {split(data, versions)}"
    if kind == "StepDone" and step == "bake":
        return "watched under load: good"
    if kind == "DeploymentFailed":
        return f"found bad: {event.get('message')}"
    if is_return(event):
        return f"traffic returned: {split(data, versions)}"
    return WHOLE.get(kind)


def is_return(event: Event) -> bool:
    """Whether it gives a service's traffic back to what ran before."""
    return event["kind"] == "StepUndone" and (event.get("step") or "").startswith("undo:traffic:")


def split(data: Mapping[str, Any], versions: Mapping[str, Mapping[str, str]]) -> str:
    """Shares by release, without those that get nothing: `catalogue 2.0.0 100%`."""
    weights = (data.get("receipt") or {}).get("weights") or {}
    total = sum(weights.values()) or 1
    shares: Counter[str] = Counter()
    for instance, weight in weights.items():
        shares[release(instance, versions)] += weight
    return ", ".join(f"{name} {100 * weight / total:.0f}%" for name, weight in sorted(shares.items()) if weight)


def release(instance: str, versions: Mapping[str, Mapping[str, str]]) -> str:
    """`catalogue 2.0.0` of `catalogue-erx7uky2-1`: an instance is named by the deployment that started it."""
    service, deployment, _ = instance.rsplit("-", 2)
    return f"{service} {versions.get(deployment, {}).get(service, '?')}"


def seconds(event: Event) -> float:
    """The event's time, seconds since 1970."""
    return datetime.fromisoformat(event["at"]).timestamp()
