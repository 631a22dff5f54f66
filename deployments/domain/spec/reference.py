"""The reference page of the specification and of an environment's record, made from the models themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from deployments.domain.placeholders import FAMILIES, WORDS
from deployments.domain.spec.model import PATTERNS, format_duration
from deployments.domain.spec.specification import DeploymentSpecification

HEAD = """# The specification

What one deployment is asked to bring about, written in YAML or JSON. This page is made from the models, and so is what
`fairlead schema` prints. An unknown field is refused; every problem of a file is told at once, with its line.

Durations are written like `500ms`, `30s` or `1m30s`; a plain number counts seconds. Text that looks like a number is
written in quotes: `version: "1.10"`. YAML is read by its version 1.2, so `on` and `no` are text.
"""
PLACEHOLDERS_HEAD = """## Placeholders

Filled in when an instance is started. Only these exact words are placeholders; all other braces stay as they are, and
so do `{{port}}` (which becomes `{port}`) and `${port}`. Files know `{release}`, `{bin}`, `{python}` and the names; the
command of a probe knows `{port}`, `{url}` and `{bin}`; `run_command` and `environment_variables` know everything but
`{url}`.
"""
KINDS: dict[object, str] = {str: "text", int: "whole number", float: "number", bool: "true or false"}


def render_reference(environment: type[BaseModel] | None = None) -> str:
    """Markdown: one table per part, in the order in which they are met. `environment` is the record's model."""
    sections = [HEAD, *(_table(part) for part in parts_of(DeploymentSpecification)), _placeholders(), _forms()]
    if environment is not None:
        intro = "# The environment's record\n\nRead by `fairlead environment apply FILE`, kept in the store.\n"
        known = set(parts_of(DeploymentSpecification))
        sections += [intro, *(_table(part) for part in parts_of(environment) if part not in known)]
    return "\n".join(sections)


def parts_of(model: type[BaseModel]) -> list[type[BaseModel]]:
    """The model and every part below it, each once, breadth first."""
    found = [model]
    for part in found:
        for field in part.model_fields.values():
            found += [child for child in dict.fromkeys(_models_in(field.annotation)) if child not in found]
    return found


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _table(part: type[BaseModel]) -> str:
    rows = [f"## {part.__name__}", "", " ".join((part.__doc__ or "").split()), ""]
    rows += ["| field | type | default | meaning |", "|---|---|---|---|"]
    for name, field in part.model_fields.items():
        meaning = " ".join((field.description or "").split())
        default = "**required**" if _names_the_kind(field) else _default(field)
        cells = (f"`{field.alias or name}`", type_in_words(field), default, meaning)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*rows, ""])


def type_in_words(field: FieldInfo) -> str:
    """A field's type for people, with its limits."""
    words = _words(field.annotation)
    limits = [text for constraint in field.metadata if (text := _limit(constraint))]
    return f"{words}, {', '.join(limits)}" if limits else words


def _words(annotation: object) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        limits = [text for constraint in arguments[1:] if (text := _limit(constraint))]
        return ", ".join([_words(arguments[0]), *limits])
    if origin in (Union, UnionType):
        return " or ".join(_words(kind) for kind in arguments if kind is not NoneType)
    if origin is Literal:
        return " or ".join(f"`{word}`" for word in arguments)
    if origin is tuple:
        return f"list of {_words(arguments[0])}"
    if origin is dict:
        return f"mapping of {_words(arguments[0])} to {_words(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(f"`{member.value}`" for member in annotation)
    if annotation is timedelta:
        return "duration"
    return KINDS.get(annotation, str(annotation))


def _limit(constraint: object) -> str:
    """A constraint that people can act on; forms are explained at the end of the page."""
    if isinstance(constraint, FieldInfo):
        return ", ".join(text for inner in constraint.metadata if (text := _limit(inner)))
    if pattern := getattr(constraint, "pattern", None):
        return FORMS.get(str(pattern), "")
    words = (("ge", "at least"), ("gt", "more than"), ("le", "at most"), ("lt", "less than"))
    found = []
    for name, text in words:
        bound = getattr(constraint, name, None)
        if bound is not None and bound != timedelta(0):
            found.append(f"{text} {format_duration(bound) if isinstance(bound, timedelta) else bound}")
    return ", ".join(found)


FORMS = {pattern: f"form {number}" for number, pattern in enumerate(PATTERNS, start=1)}


def _names_the_kind(field: FieldInfo) -> bool:
    """The one word that tells a part of a union from the others has to be written."""
    return get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    return _value(field.get_default(call_default_factory=True))


def _value(value: object) -> str:
    if isinstance(value, BaseModel):
        given = value.model_dump(exclude_defaults=True) or {}
        kind = getattr(value, "kind", None)
        return f"`kind: {kind}`" if kind else ("its defaults" if not given else f"`{given}`")
    if isinstance(value, timedelta):
        return f"`{format_duration(value)}`"
    if isinstance(value, Enum):
        return f"`{value.value}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return ", ".join(_value(item) for item in value) if value else "none"
    if value is None or value == "" or (isinstance(value, Mapping) and not value):
        return "none"
    return f"`{value}`"


def _placeholders() -> str:
    rows = [PLACEHOLDERS_HEAD, "| placeholder | stands for |", "|---|---|"]
    rows += [f"| `{{{word}}}` | {meaning} |" for word, meaning in WORDS.items()]
    rows += [f"| `{{{family}.NAME}}` | {meaning} |" for family, meaning in FAMILIES.items()]
    return "\n".join([*rows, ""])


def _forms() -> str:
    rows = ["## Forms", "", "| form | what it asks for |", "|---|---|"]
    rows += [f"| {number} | {words} |" for number, words in enumerate(PATTERNS.values(), start=1)]
    return "\n".join([*rows, ""])
