"""What a deployment asks of machine and environment: while it is under way, and afterwards."""

from __future__ import annotations

from dataclasses import dataclass

from deployments.domain.facts import Facts, RunningRelease
from deployments.domain.revisions import release_of, revision_of
from deployments.domain.spec.service import ServiceSpecification
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.spec.strategy import Recreate


@dataclass(frozen=True, slots=True)
class Load:
    """What instances ask for together."""

    cpu: float = 0.0
    memory_mb: int = 0
    disk_mb: int = 0
    instances: int = 0

    def plus(self, other: Load) -> Load:
        """Both at once."""
        return Load(
            self.cpu + other.cpu,
            self.memory_mb + other.memory_mb,
            self.disk_mb + other.disk_mb,
            self.instances + other.instances,
        )

    def or_else(self, other: Load) -> Load:
        """The larger of each: one after the other."""
        return Load(
            max(self.cpu, other.cpu),
            max(self.memory_mb, other.memory_mb),
            max(self.disk_mb, other.disk_mb),
            max(self.instances, other.instances),
        )

    def beyond(self, other: Load) -> Load:
        """What is left to ask for when the other's share comes free."""
        return Load(
            max(0.0, self.cpu - other.cpu),
            max(0, self.memory_mb - other.memory_mb),
            max(0, self.disk_mb - other.disk_mb),
            max(0, self.instances - other.instances),
        )


NOTHING = Load()


@dataclass(frozen=True, slots=True)
class Demand:
    """`starting`: beside what runs now. `peak`: everything at once, old and new. `steady`: once the old are retired."""

    starting: Load
    peak: Load
    steady: Load


def demand_of(specification: DeploymentSpecification, facts: Facts) -> Demand:
    """From the specification's services, and what the environment runs besides. What stays the same starts nothing."""
    asked = {service.name for service in specification.services}
    rest = NOTHING
    for name, release in facts.stable.items():
        if name not in asked:
            rest = rest.plus(running_load(release))
    starting, peak, steady = NOTHING, rest, rest
    for service in specification.services:
        new, old = new_load(service), running_load(facts.stable.get(service.name))
        steady = steady.plus(new)
        if is_unchanged(specification, service, facts):
            peak = peak.plus(old.or_else(new))
        elif isinstance(service.deployment_strategy, Recreate):
            starting, peak = starting.plus(new.beyond(old)), peak.plus(old.or_else(new))
        else:
            starting, peak = starting.plus(new), peak.plus(old).plus(new)
    return Demand(starting, peak, steady)


def new_load(service: ServiceSpecification) -> Load:
    """All replicas of a service."""
    count, each = service.scaling.replicas, service.resources
    return Load(each.cpu * count, each.memory_mb * count, each.disk_mb * count, count)


def running_load(release: RunningRelease | None) -> Load:
    """All instances of a release that were observed running. The disk they fill is part of what is not free."""
    if release is None:
        return NOTHING
    count = len(release.endpoints)
    return Load(release.cpu * count, release.memory_mb * count, 0, count)


def is_unchanged(specification: DeploymentSpecification, service: ServiceSpecification, facts: Facts) -> bool:
    """Whether what runs is what is asked, so that nothing of it starts."""
    stable, lock = facts.stable.get(service.name), facts.locks.get(service.name)
    if stable is None or lock is None or len(stable.endpoints) != service.scaling.replicas:
        return False
    return stable.revision == revision_of(specification, service, release_of(service, lock))
