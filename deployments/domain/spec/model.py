"""The frame of every part of a specification: frozen, and an unknown field is refused."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


class Part(BaseModel):
    """A part of a specification."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


def parse_duration(value: object) -> object:
    """`1m30s`, `500ms` or a number of seconds to a timedelta; anything else is left for pydantic to judge."""
    if isinstance(value, str):
        parts = PART.findall(value)
        if parts and "".join(number + unit for number, unit in parts) == value.strip():
            return timedelta(seconds=sum(float(number) * UNITS[unit] for number, unit in parts))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return timedelta(seconds=value)
    return value


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
Text = Annotated[str, StringConstraints(max_length=2000)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=200)]
