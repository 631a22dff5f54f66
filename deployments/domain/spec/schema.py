"""JSON Schema of what people write: for editors, forms and other programs."""

from __future__ import annotations

from typing import TypeAlias

from pydantic import BaseModel, TypeAdapter

from deployments.domain.spec.model import WrittenDuration, format_duration
from deployments.domain.spec.specification import DeploymentSpecification

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
DURATION = TypeAdapter(WrittenDuration)


def specification_schema() -> dict[str, Json]:
    """Of a deployment's specification."""
    return schema_of(DeploymentSpecification)


def schema_of(model: type[BaseModel]) -> dict[str, Json]:
    """Of any part, with default durations as people write them."""
    schema: dict[str, Json] = {"$schema": DIALECT, **model.model_json_schema(mode="validation")}
    _write_durations(schema)
    _require_kinds(schema.get("$defs"))
    return schema


def _require_kinds(parts: Json) -> None:
    """The word that tells the parts of a union apart has to be written, though a part alone could be without it."""
    for part in parts.values() if isinstance(parts, dict) else ():
        if not isinstance(part, dict):
            continue
        properties, required = part.get("properties"), part.get("required", [])
        kind = properties.get("kind") if isinstance(properties, dict) else None
        if isinstance(kind, dict) and "const" in kind and isinstance(required, list):
            part["required"] = ["kind", *required]


def _write_durations(schema: Json) -> None:
    """Pydantic gives defaults as `PT30S`; the schema shows `30s`, also within the defaults of parts."""
    if isinstance(schema, list):
        for item in schema:
            _write_durations(item)
        return
    if not isinstance(schema, dict):
        return
    for name, value in schema.items():
        if isinstance(value, str) and value.startswith("P") and _is_iso(value):
            schema[name] = format_duration(DURATION.validate_python(value))
        else:
            _write_durations(value)


def _is_iso(text: str) -> bool:
    return len(text) > 2 and set(text) <= set("PT0123456789DHMS.")
