"""How risky a plan is, each point from an observed fact; and how fast and how far it can come back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from deployments.domain.facts import Facts
from deployments.domain.plan import ChangeKind, Reversibility, RiskPoint, ServiceChange
from deployments.domain.spec.checks import HttpProbe
from deployments.domain.spec.service import ServiceSpecification
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.strategies.table import STRATEGIES

TRAFFIC_RETURN = timedelta(seconds=1)
"""The bar for the return of traffic; docs/benchmarks.md has what was measured."""


def assess_risk(
    specification: DeploymentSpecification, facts: Facts, changes: Sequence[ServiceChange]
) -> tuple[RiskPoint, ...]:
    """Points for what changes, how it is checked, and how this environment's last deployments went."""
    services = {service.name: service for service in specification.services}
    points = []
    for change in changes:
        if change.kind is not ChangeKind.UNCHANGED:
            points += risk_of_change(services[change.service], change)
    if facts.recent_failures and points:
        count = facts.recent_failures
        points.append(RiskPoint(min(30, 10 * count), f"{count} deployments of this environment failed in seven days"))
    return tuple(points)


def risk_of_change(service: ServiceSpecification, change: ServiceChange) -> list[RiskPoint]:
    """Points of one service."""
    name = change.service
    points = [RiskPoint(5, f"{name} changes")]
    if change.reused:
        return points
    if change.kind is ChangeKind.UPDATE and change.strategy == "recreate":
        points.append(RiskPoint(15, f"{name} is stopped before its new release has started (recreate)"))
    if not any(isinstance(check.probe, HttpProbe) for check in service.health_checks):
        points.append(RiskPoint(5, f"{name} has no HTTP health check"))
    if not service.checks:
        points.append(RiskPoint(5, f"{name} has no checks of its own"))
    return points


def assess_reversibility(specification: DeploymentSpecification, changes: Sequence[ServiceChange]) -> Reversibility:
    """What comes back, how fast, and until which step."""
    loses = tuple(
        f"{change.service}: its old instances are started again, requests wait meanwhile"
        for change in changes
        if change.kind is ChangeKind.UPDATE and STRATEGIES[change.strategy].has_hold
    )
    slowest = TRAFFIC_RETURN
    for service in specification.services:
        if loses and any(c.service == service.name and STRATEGIES[c.strategy].has_hold for c in changes):
            slowest = max(slowest, service.timing.healthy_deadline)
    return Reversibility(until="stable", traffic_returns_in=slowest, loses=loses)
