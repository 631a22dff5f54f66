"""The environment's capacity holds everything that runs in it, old and new instances at once included."""

from __future__ import annotations

from typing import ClassVar

from deployments.domain.facts import Facts
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.validators.demand import demand_of
from deployments.domain.validators.validator import BaseValidator, Results, environment_of
from deployments.domain.values import Category

NAMES = {
    "cpu": "processor cores",
    "memory_mb": "MiB of memory",
    "disk_mb": "MiB of disk",
    "instances": "instances",
}


class CapacityValidator(BaseValidator):
    """While a deployment is under way, blue-green and rolling services run twice."""

    name: ClassVar[str] = "environment_capacity"
    category: ClassVar[Category] = Category.HARDWARE

    def validate(self, specification: DeploymentSpecification, facts: Facts) -> Results:
        """Judge the peak against the capacity."""
        record = environment_of(specification, facts)
        limits = {name: getattr(record.capacity, name) for name in NAMES}
        if all(limit is None for limit in limits.values()):
            return self.ok(facts, f"The capacity of {record.name} is not limited.")
        demand = demand_of(specification, facts)
        found = []
        for name, words in NAMES.items():
            limit, asked, after = limits[name], getattr(demand.peak, name), getattr(demand.steady, name)
            if limit is None or asked <= limit:
                continue
            message = f"{record.name} would run {asked:g} {words} at once; its capacity is {limit:g}."
            remedy = "Ask for less, or raise the capacity in the environment's record."
            if after <= limit:
                remedy = f"Afterwards it would run {after:g}: use the recreate strategy, or raise the capacity."
            found.append(self.bad(facts, message, remedy, capacity=name, asked=asked, afterwards=after, limit=limit))
        return tuple(found) or self.ok(facts, f"{record.name} holds everything at once.")
