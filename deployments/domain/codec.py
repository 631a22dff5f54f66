"""Plans, undo plans and actions as JSON values and back; the record keeps them like this."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import TypeAdapter

from deployments.domain.plan import Plan
from deployments.domain.ports import Program
from deployments.domain.steps import AnyAction
from deployments.domain.undo import UndoStep

JsonObject = dict[str, object]
PLAN: TypeAdapter[Plan] = TypeAdapter(Plan)
ACTION: TypeAdapter[AnyAction] = TypeAdapter(AnyAction)
UNDO: TypeAdapter[tuple[UndoStep, ...]] = TypeAdapter(tuple[UndoStep, ...])
PROGRAM: TypeAdapter[Program] = TypeAdapter(Program)


def plan_to_json(plan: Plan) -> JsonObject:
    """A plan as JSON values."""
    found: JsonObject = PLAN.dump_python(plan, mode="json")
    return found


def plan_from_json(value: Mapping[str, object]) -> Plan:
    """The plan that was kept."""
    return PLAN.validate_python(value)


def action_to_json(action: AnyAction) -> JsonObject:
    """An action as JSON values."""
    found: JsonObject = ACTION.dump_python(action, mode="json")
    return found


def undo_to_json(steps: Iterable[UndoStep]) -> list[JsonObject]:
    """An undo plan as JSON values."""
    found: list[JsonObject] = UNDO.dump_python(tuple(steps), mode="json")
    return found


def undo_from_json(value: object) -> tuple[UndoStep, ...]:
    """The undo plan that was kept."""
    return UNDO.validate_python(value)


def program_to_json(program: Program) -> JsonObject:
    """A program as JSON values."""
    found: JsonObject = PROGRAM.dump_python(program, mode="json")
    return found


def program_from_json(value: object) -> Program:
    """The program that was kept."""
    return PROGRAM.validate_python(value)
