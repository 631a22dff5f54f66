"""Watches a deployment that another process drives until it ends; takes it over when nobody drives it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from deployments.cli.failing import BROKEN, CONFLICT, OK
from deployments.cli.output import Output

if TYPE_CHECKING:
    from deployments.domain.entities import Deployment
    from deployments.driver.world import World

LOOK_SECONDS = 0.25


def follow_to_end(world: World, record: Deployment, output: Output, *, is_quiet: bool = False) -> Deployment:
    """Tell its events as they come and return how it ended."""
    from deployments.cli.progress.lines import line_of
    from deployments.driver.reconciling import reconcile_environment

    events, after = world.records.events, last_sequence(world, record)
    next_look = time.monotonic() + world.timings.lease.total_seconds()
    while True:
        present = world.records.deployments.get(record.id)
        for event in events.read(after=after, deployment=record.id):
            after = event.sequence or after
            line = line_of(event)
            if line and not is_quiet:
                output.line(line)
        if present.is_final:
            return present
        if time.monotonic() > next_look and world.records.leases.holder(record.environment) is None:
            reconcile_environment(world, record.environment)
            next_look = time.monotonic() + world.timings.lease.total_seconds()
        time.sleep(LOOK_SECONDS)


def last_sequence(world: World, record: Deployment) -> int:
    """Where the story stands now."""
    told = world.records.events.timeline(deployment=record.id)
    return max((event.sequence or 0 for event in told), default=0)


def code_of(ended: Deployment, *, wanted: Literal["cancel", "deploy"]) -> int:
    """The exit code for how a deployment ended, given what was wanted of it."""
    from deployments.domain.status import DeploymentStatus, Reason

    match ended.status:
        case DeploymentStatus.COMPLETED:
            return CONFLICT if wanted == "cancel" else OK
        case DeploymentStatus.CANCELLED:
            return OK if wanted == "cancel" else 130
        case DeploymentStatus.ROLLED_BACK if ended.reason in (Reason.CANCELLED, Reason.CONTROLLER_LOST):
            return OK if wanted == "cancel" else 130
        case _:
            return BROKEN
