"""Column types that accept whatever text and values the outside produced."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import BaseModel
from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator

ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
"""A NUL in JSON text; `\\\\u0000`, an escaped backslash before plain text, is none."""


class AnyText(TypeDecorator[str]):
    """Text from outside. PostgreSQL refuses NUL and lone surrogates, and the tail of a log may hold both."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """What is stored instead: the same text with what cannot be stored replaced."""
        return None if value is None else clean_text(value)


def clean_text(value: str) -> str:
    """The text with NUL and lone surrogates replaced."""
    if value.isascii() and "\0" not in value:
        return value
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def to_json(value: object) -> str:
    """JSON that PostgreSQL accepts: no NUL, no lone surrogates, and numbers that are not finite become null."""
    try:
        text = json.dumps(value, default=_plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        finite = _finite(json.loads(json.dumps(value, default=_plain)))
        text = json.dumps(finite, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if "\\u0000" in text:
        text = ESCAPED_NUL.sub("\\1\ufffd", text)
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _plain(value: object) -> object:
    """Our own values as JSON values."""
    match value:
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Path():
            return str(value)
        case BaseModel():
            return value.model_dump(mode="json")
        case set() | frozenset():
            return sorted(value, key=str)
        case Mapping():
            return dict(value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            return asdict(value)
        case _:
            raise TypeError(f"A {type(value).__name__} cannot be stored as JSON.")


def _finite(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return value
