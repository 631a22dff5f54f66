"""Makes a readable specification out of one with errors, so that the rules between fields are judged in the same pass.

What is wrong is left out, or replaced by a stand-in where a part cannot be without it. What the rules find about a
field that was replaced is not told: the person hears of each thing once.
"""

from __future__ import annotations

import re
from copy import deepcopy

from pydantic import ValidationError

from deployments.domain.reading.explaining import errors_of
from deployments.domain.reading.places import Place, way_to
from deployments.domain.spec.problems import Finding, Path
from deployments.domain.spec.rules.configuration import placeholders
from deployments.domain.spec.rules.table import RULES
from deployments.domain.spec.specification import DeploymentSpecification

ROUNDS = 4
NAMED_BY_PLACEHOLDERS = {"dependencies", "resource_requirements", "configuration", "configuration_overrides", "type"}
SMALL_PART = 3
"""Parts deeper than a service: ("services", 0, "timing", "min_healthy")."""
STAND_IN_NAME = re.compile(r"`unreadable-(\d+)`")
SOURCE = {"kind": "archive", "path": "unreadable", "sha256": "0" * 64}
STAND_INS: dict[str, object] = {
    "project": "unreadable",
    "target_environment": "unreadable",
    "version": "0",
    "source": SOURCE,
}


def findings_between(data: object, error: ValidationError) -> list[Finding]:
    """What the rules between fields find in the parts that can be read."""
    taken = {way[-1].path for way in ways_of(error)}
    specification = salvage(deepcopy(data), error, taken)
    if specification is None:
        return []
    rules = [rule for rule in RULES if rule is not placeholders or not hides_names(taken)]
    found = (finding for rule in rules for finding in rule(specification))
    return [in_words(finding) for finding in found if not is_below(finding.path, taken)]


def hides_names(taken: set[Path]) -> bool:
    """Whether something was taken out that placeholders may name: they would seem to name nothing."""
    return any(NAMED_BY_PLACEHOLDERS.intersection(path) for path in taken)


def in_words(finding: Finding) -> Finding:
    """With the place of a service whose name cannot be read, instead of its stand-in."""
    message, remedy = (STAND_IN_NAME.sub(r"services[\1]", text) for text in (finding.message, finding.remedy))
    return Finding(finding.path, message, remedy)


def salvage(data: object, error: ValidationError, taken: set[Path]) -> DeploymentSpecification | None:
    """The specification without what is wrong with it; None when that leads nowhere. `data` and `taken` are changed."""
    for _ in range(ROUNDS):
        taken.update(path for way in ways_of(error) if (path := repair(data, way)))
        try:
            return DeploymentSpecification.model_validate(data)
        except ValidationError as left:
            error = left
    return None


def ways_of(error: ValidationError) -> list[list[Place]]:
    """The ways to the fields that an error is about."""
    return [way_to(DeploymentSpecification, detail["loc"]) for detail in errors_of(error)]


def repair(data: object, way: list[Place]) -> Path:
    """Take out the last field of the way, or the nearest one around it that can be taken out or replaced; say which."""
    for place in reversed(way[1:]):
        leaf = place.path[-1]
        holder = value_at(data, place.path[:-1])
        if holder is None:
            return ()
        stand_in = stand_in_for(place.path)
        if isinstance(holder, dict) and not place.is_required:
            holder.pop(leaf, None)
        elif stand_in is None:
            continue
        else:
            put(holder, leaf, stand_in)
        return place.path
    return ()


def put(holder: object, leaf: str | int, value: object) -> None:
    """Place a value in a mapping or a list."""
    if isinstance(holder, list) and isinstance(leaf, int):
        holder[leaf] = value
        return
    if isinstance(holder, dict):
        holder[leaf] = value


def stand_in_for(path: Path) -> object:
    """A value that reads, in place of one that a part cannot be without; None where there is none."""
    match path:
        case ("services",):
            return [service_stand_in(0)]
        case ("services", int(index)):
            return service_stand_in(index)
        case ("services", int(index), "name"):
            return f"unreadable-{index}"
        case ("services", int(), str(field)) | (str(field),):
            return deepcopy(STAND_INS.get(field))
        case _:
            return None


def service_stand_in(index: int) -> dict[str, object]:
    """A service in place of one that is not even a mapping."""
    return {"name": f"unreadable-{index}", "version": "0", "source": dict(SOURCE), "run_command": ["unreadable"]}


def value_at(data: object, path: Path) -> object:
    """The value at a path; None when it is not there any more."""
    for step in path:
        if isinstance(data, dict):
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return None
    return data


def is_below(path: Path, taken: set[Path]) -> bool:
    """Whether the path is one of these, within one, or beside one in a small part, where fields measure each other."""
    beside = {other[:-1] for other in taken if len(other) > SMALL_PART}
    return path[:-1] in beside or any(path[:length] in taken for length in range(1, len(path) + 1))
