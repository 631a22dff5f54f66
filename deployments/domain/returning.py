"""Chooses the deployment that a rollback returns to. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from deployments.domain.entities import Deployment
from deployments.domain.errors import Refused
from deployments.domain.status import Reason


def target_before(environment: str, completed: Sequence[Deployment]) -> Deployment:
    """The state before the present one, by the completed deployments, newest first. Raises Refused when there is none.

    What a rollback left is not returned to: after 1, 2, and back to 1, the state before is the one before 1.
    """
    states = states_of(completed)
    if not states:
        raise Refused(f"Nothing was ever completed in {environment}.", remedy="Deploy to it first.")
    present = states[-1]
    for earlier in reversed(states[:-1]):
        if names_of(present) <= names_of(earlier):
            return earlier
    services = ", ".join(sorted(names_of(present)))
    raise Refused(
        f"{environment} has no stable state of {services} earlier than {present.name}.",
        remedy=f"Name one with --to; `fairlead history --environment {environment}` lists them.",
    )


def names_of(one: Deployment) -> frozenset[str]:
    """The services it brought about; others of the environment are not its own."""
    return frozenset(name for name, _ in one.services)


def states_of(completed: Sequence[Deployment]) -> list[Deployment]:
    """The states that lead to the present one, oldest first, each as the deployment that brought it about.

    A deployment adds one; one that found nothing to do adds none. A rollback takes away those after its target which
    name a service of it, and its target is the present one again.
    """
    states: list[Deployment] = []
    same: dict[str, str] = {}
    for one in reversed(completed):
        if one.specification.get("skip_deploy"):
            continue
        if one.is_rollback:
            target = same.get(one.parent or "", one.parent)
            index = next((index for index, state in enumerate(states) if state.id == target), None)
            states = [*states, one] if index is None else returned_to(states, index)
        elif one.reason is not Reason.NOTHING_TO_DO or not states:
            states.append(one)
        same[one.id] = states[-1].id
    return states


def returned_to(states: list[Deployment], index: int) -> list[Deployment]:
    """The states after a rollback to one of them."""
    target = states[index]
    apart = [state for state in states[index + 1 :] if not names_of(state) & names_of(target)]
    return [*states[:index], *apart, target]


def check_target(target: Deployment) -> Deployment:
    """Raise Refused unless it was completed and changed what runs."""
    if not target.was_successful or target.specification.get("skip_deploy"):
        raise Refused(
            f"{target.name} is {target.status.value}: it never was the environment's stable state.",
            remedy="Choose one that completed; `fairlead history --status completed` lists them.",
        )
    return target
