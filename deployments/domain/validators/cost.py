"""Everything that runs in the environment costs no more than its limit."""

from __future__ import annotations

from typing import ClassVar

from deployments.domain.environment import Prices
from deployments.domain.facts import Facts
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.validators.demand import Load, demand_of
from deployments.domain.validators.validator import BaseValidator, Results, environment_of
from deployments.domain.values import Category


class CostValidator(BaseValidator):
    """The cost per hour once the deployment is complete; the hours in which old and new run are in the details."""

    name: ClassVar[str] = "cost_limit"
    category: ClassVar[Category] = Category.HARDWARE

    def validate(self, specification: DeploymentSpecification, facts: Facts) -> Results:
        """Judge the cost."""
        record = environment_of(specification, facts)
        limit = record.limits.cost_per_hour
        if limit is None:
            return self.ok(facts, f"The cost of {record.name} is not limited.")
        if record.prices is None:
            message = f"{record.name} may cost {limit:g} per hour, and its record has no prices to count with."
            return (self.incomplete(facts, message, "Add `prices` to the environment's record.", limit=limit),)
        demand = demand_of(specification, facts)
        cost, peak = cost_per_hour(demand.steady, record.prices), cost_per_hour(demand.peak, record.prices)
        if cost > limit:
            message = f"{record.name} would cost {cost:.4g} per hour; its limit is {limit:g}."
            remedy = "Ask for less, or raise `limits.cost_per_hour` in the environment's record."
            return (self.bad(facts, message, remedy, cost=cost, while_deploying=peak, limit=limit),)
        return self.ok(facts, f"{record.name} costs {cost:.4g} of {limit:g} per hour.", cost=cost, while_deploying=peak)


def cost_per_hour(load: Load, prices: Prices) -> float:
    """What a load costs."""
    return load.cpu * prices.cpu_hour + load.memory_mb / 1024 * prices.memory_gb_hour
