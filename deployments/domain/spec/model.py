"""The frame of every part of a specification (frozen, unknown fields refused), and the words fields are made of."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
DURATION_PART = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)(ms|s|m|h|d)")
LONGEST = timedelta(days=30)


class Part(BaseModel):
    """A part of a specification."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        protected_namespaces=(),
    )


def parse_duration(value: object) -> object:
    """`1m30s`, `500ms` or a number of seconds to a timedelta; anything else is left for pydantic to judge."""
    seconds: float | None = None
    if isinstance(value, bool):
        return str(value)  # pydantic would take it for a second
    if isinstance(value, str):
        parts = DURATION_PART.findall(value)
        if parts and "".join(number + unit for number, unit in parts) == value.strip():
            seconds = sum(float(number) * UNITS[unit] for number, unit in parts)
    elif isinstance(value, (int, float)):
        seconds = value
    if seconds is None or not abs(seconds) <= 2 * LONGEST.total_seconds():
        return value if seconds is None else LONGEST * 2  # beyond every limit: refused as too long
    return timedelta(seconds=seconds)


def format_duration(value: timedelta) -> str:
    """As a person writes it: `1m30s`. `parse_duration` reads it back."""
    milliseconds = value // timedelta(milliseconds=1)
    if milliseconds == 0:
        return "0s"
    words = []
    for unit, seconds in UNITS.items():
        count, milliseconds = divmod(milliseconds, round(seconds * 1000))
        if count:
            words.append(f"{count}{unit}")
    return "".join(words)


DURATION_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": r"^((\d+(\.\d+)?(ms|s|m|h|d))+|P[0-9DTHMS.]+)$"},
        {"type": "number", "minimum": 0},
    ],
    "description": "A duration such as 500ms, 30s or 1m30s; a plain number counts seconds.",
}
WrittenDuration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema(DURATION_SCHEMA),
]
Duration = Annotated[WrittenDuration, Field(ge=timedelta(0), le=LONGEST)]
PositiveDuration = Annotated[WrittenDuration, Field(ge=timedelta(milliseconds=1), le=LONGEST)]

NAME = r"^[a-z][a-z0-9-]{0,39}$"
VARIABLE_NAME = r"^[A-Za-z_][A-Za-z0-9_]{0,99}$"
FILE_NAME = r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$"
URL_PATH = r"^/[!-~]*$"
HEADER_NAME = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"
HEADER_VALUE = r"^[\t -~]*$"
SHA256 = r"^[0-9a-f]{64}$"
GIT_REFERENCE = r"^[A-Za-z0-9][A-Za-z0-9._/+@-]*$"
PERCENTILE = r"^(p50|p90|p95|p99|max)$"

PATTERNS = {
    NAME: "a lower-case letter, then at most 39 lower-case letters, digits and hyphens",
    VARIABLE_NAME: "a letter or underscore, then at most 99 letters, digits and underscores",
    FILE_NAME: "a relative path of letters, digits, dots, hyphens and underscores, no part of which begins with a dot",
    URL_PATH: "a path that begins with / and holds no spaces; others are written as %20 and the like",
    HEADER_NAME: "the name of an HTTP header",
    HEADER_VALUE: "printable ASCII on one line",
    SHA256: "64 hexadecimal digits in lower case",
    GIT_REFERENCE: "a branch, tag or commit, which begins with a letter or digit",
    PERCENTILE: "p50, p90, p95, p99 or max",
}
"""What each pattern asks for, in words: `It must be ...`."""

Name = Annotated[str, StringConstraints(pattern=NAME)]
Text = Annotated[str, StringConstraints(max_length=2000)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Argument = Annotated[str, StringConstraints(max_length=8000)]
Program = Annotated[tuple[Argument, ...], Field(max_length=200)]
FilePath = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
FileName = Annotated[str, StringConstraints(pattern=FILE_NAME, max_length=200)]
FileContent = Annotated[str, StringConstraints(max_length=1_000_000)]
VariableName = Annotated[str, StringConstraints(pattern=VARIABLE_NAME)]
VariableValue = Annotated[str, StringConstraints(max_length=32_000)]
Percentile = Annotated[str, StringConstraints(pattern=PERCENTILE)]
