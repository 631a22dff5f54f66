"""Chooses the deployment that a rollback returns to. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from deployments.domain.entities import Deployment
from deployments.domain.errors import Refused

NAMING = frozenset({"name", "created_by", "correlation_id", "description", "metadata"})
"""Fields that do not change what runs."""


def target_before(environment: str, stable: Sequence[Deployment]) -> Deployment:
    """The newest of the completed deployments (newest first) whose state is another than the present one.

    What was left by a rollback is not returned to: after 1, 2, and back to 1, the state before is the one before 1.
    Raises Refused when there is none.
    """
    if not stable:
        raise Refused(f"Nothing was ever completed in {environment}.", remedy="Deploy to it first.")
    abandoned: list[object] = []
    present = stable[0]
    skip_to: object = state_of(present) if present.is_rollback else None
    for one in stable[1:]:
        state = state_of(one)
        if skip_to is not None:
            if state == skip_to and not one.is_rollback:
                skip_to = None
            else:
                abandoned.append(state)
            continue
        if one.is_rollback or state == state_of(present) or state in abandoned:
            continue
        if one.specification.get("skip_deploy"):
            continue
        return one
    raise Refused(
        f"{environment} has no earlier stable state than {present.name}.",
        remedy=f"Name one with --to; `fairlead history --environment {environment}` lists them.",
    )


def check_target(target: Deployment) -> Deployment:
    """Raise Refused unless it was completed and changed what runs."""
    if not target.was_successful or target.specification.get("skip_deploy"):
        raise Refused(
            f"{target.name} is {target.status.value}: it never was the environment's stable state.",
            remedy="Choose one that completed; `fairlead history --status completed` lists them.",
        )
    return target


def state_of(one: Deployment) -> object:
    """What a deployment asked to run."""
    return {name: value for name, value in one.specification.items() if name not in NAMING}
