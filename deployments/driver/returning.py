"""Finds what a rollback returns to: an earlier deployment's specification, as it was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deployments.domain.entities import Deployment
from deployments.domain.returning import check_target, target_before
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.driver.world import World
from deployments.store.criteria import Criteria
from deployments.store.deployments import Document

LOOKED_AT = 200
"""Deployments of an environment, newest first, among which an earlier stable state is looked for."""


@dataclass(frozen=True, slots=True)
class WayBack:
    """The deployment that is returned to, and what to ask for to get there."""

    target: Deployment
    specification: DeploymentSpecification
    base: Path


def target_of_rollback(world: World, environment: str, to: str | None = None) -> WayBack:
    """The named deployment, or the stable state before the present one.

    Raises Refused when there is nothing to return to, NotFound for a deployment that is not there.
    """
    deployments = world.records.deployments
    if to is not None:
        target = check_target(deployments.get(to, environment=environment))
    else:
        history = world.records.queries.history(Criteria(environment=environment), limit=LOOKED_AT)
        target = target_before(environment, [deployments.get(one.id) for one in history if one.was_successful])
    kept = {**target.specification, "name": None, "created_by": None, "correlation_id": None}
    asked = deployments.document(target.id, Document.REQUEST)
    base = Path(str(asked["base"])) if isinstance(asked, dict) and "base" in asked else Path.cwd()
    return WayBack(target, DeploymentSpecification.model_validate(kept), base)
