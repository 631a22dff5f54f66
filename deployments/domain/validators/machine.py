"""The machine has what the new instances ask for."""

from __future__ import annotations

from typing import ClassVar

from deployments.domain.facts import Facts
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.validators.demand import demand_of
from deployments.domain.validators.validator import BaseValidator, Results
from deployments.domain.values import Category, Severity


class MachineValidator(BaseValidator):
    """Memory and disk must be there; processors may be shared, which is said."""

    name: ClassVar[str] = "machine_resources"
    category: ClassVar[Category] = Category.HARDWARE

    def validate(self, specification: DeploymentSpecification, facts: Facts) -> Results:
        """Judge what starts against what is free. `recreate` gives the old instances' share back first."""
        demand, machine = demand_of(specification, facts), facts.machine
        asked, found = demand.starting, []
        if asked.memory_mb > machine.memory_available_mb:
            message = (
                f"The new instances ask for {asked.memory_mb} MiB of memory, {machine.memory_available_mb} are free."
            )
            remedy = "Lower resources.memory_mb or scaling.replicas, or free memory on the machine."
            found.append(self.bad(facts, message, remedy, asked=asked.memory_mb, free=machine.memory_available_mb))
        if asked.disk_mb > machine.disk_free_mb:
            message = f"The new instances ask for {asked.disk_mb} MiB of disk, {machine.disk_free_mb} are free."
            remedy = "Lower resources.disk_mb, or free space on the machine."
            found.append(self.bad(facts, message, remedy, asked=asked.disk_mb, free=machine.disk_free_mb))
        if demand.peak.cpu > machine.cpus:
            message = (
                f"The environment asks for {demand.peak.cpu:.1f} processor cores at once, there are {machine.cpus}."
            )
            remedy = "Expect it to be slower, or lower resources.cpu or scaling.replicas."
            found.append(self.bad(facts, message, remedy, severity=Severity.WARNING, asked=round(demand.peak.cpu, 3)))
        return tuple(found) or self.ok(facts, "The machine has what the new instances ask for.")
