"""Pydantic's errors in words for the person who wrote the field: what is wrong with it, and the remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from enum import Enum

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from deployments.domain.reading.places import Place, bare, fields_of, place_of, union_members
from deployments.domain.sanitising import shown
from deployments.domain.spec.model import PATTERNS, format_duration
from deployments.domain.spec.problems import Finding, Path, nearest, one_of

SYNONYMS = {
    "args": "run_command",
    "command": "run_command",
    "cmd": "run_command",
    "start_command": "run_command",
    "cpus": "cpu",
    "memory": "memory_mb",
    "depends_on": "dependencies",
    "env": "environment_variables",
    "environment": "environment_variables",
    "healthcheck": "health_checks",
    "instances": "replicas",
    "scaling_rules": "scaling",
    "strategy": "deployment_strategy",
    "target": "target_environment",
    "branch": "ref",
    "commit_sha": "commit",
    "package": "requirement",
    "url_path": "path",
}
"""Words that other tools use for ours."""
Words = tuple[str, str]
"""What is wrong, and the remedy."""


def explain(error: ErrorDetails, model: type[BaseModel], written: Mapping[Path, str]) -> Finding:
    """One error as a finding. `written` holds numbers and words as they stood in the text."""
    place = place_of(model, error["loc"])
    context = error.get("ctx", {})
    tell = TELL.get(error["type"])
    if tell is not None:
        message, remedy = tell(place, error["input"], context)
    else:
        message, remedy = f"{error['msg']}.", meaning(place)
    if error["type"] == "string_type":
        text = written.get(place.path) or _placeholder_in(error["input"])
        remedy = f'Write it in quotes: "{shown(text)}".' if text else remedy
    return Finding(place.path, message, remedy)


def _placeholder_in(value: object) -> str:
    """`{port}` without quotes is a mapping to YAML."""
    if isinstance(value, Mapping) and list(value.values()) == [None]:
        return f"{{{next(iter(value))}}}"
    return ""


def errors_of(error: ValidationError) -> list[ErrorDetails]:
    """Pydantic's errors without those that only follow from others: a list whose entries are wrong is not too short."""
    return [detail for detail in error.errors(include_url=False) if not _only_follows(detail)]


def _only_follows(detail: ErrorDetails) -> bool:
    least = detail.get("ctx", {}).get("min_length", 0)
    return detail["type"] == "too_short" and hasattr(detail["input"], "__len__") and len(detail["input"]) >= least


def kind_of(value: object) -> str:
    """A value's kind, for people."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list() | tuple():
            return "a list"
        case Mapping():
            return "a mapping"
        case _:
            return type(value).__name__


def meaning(place: Place) -> str:
    """What a field is for, from its own documentation."""
    words = (place.field.description or "") if place.field else ""
    return " ".join(words.split())


def unknown_field(place: Place, _value: object, _context: Mapping[str, object]) -> Words:
    """A field that the part does not have."""
    name = str(place.path[-1])
    fields = fields_of(place.model) if place.model else {}
    if name == "<<":
        return "Merge keys are not part of YAML 1.2.", "Repeat the fields, or use an alias for a whole value."
    synonym = SYNONYMS.get(name.lower().replace("-", "_"))
    meant = synonym if synonym in fields else nearest(name, fields)
    message = "There is no such field."
    if owner := owner_of({name, synonym or name}, fields.items()):
        return message, f"It belongs in `{owner}`."
    return message, f"Did you mean `{meant}`?" if meant else f"Fields here: {one_of(fields, most=40)}."


def owner_of(names: set[str], fields: Iterable[tuple[str, object]]) -> str | None:
    """The neighbouring part that has a field of this name: `replicas` belongs in `scaling.replicas`."""
    for owner, field in fields:
        part = bare(getattr(field, "annotation", None))
        if isinstance(part, type) and issubclass(part, BaseModel) and (found := names & set(fields_of(part))):
            return f"{owner}.{min(found)}"
    return None


def missing(place: Place, _value: object, _context: Mapping[str, object]) -> Words:
    """A field that has to be there."""
    words = meaning(place)
    return "It is missing.", f"Add it: {words}" if words else "Add it."


def kind_missing(place: Place, value: object, _context: Mapping[str, object]) -> Words:
    """A part of a union that does not say which. The fields that are there tell which one is meant."""
    members = union_members(place.annotation)
    given = set(value) if isinstance(value, Mapping) else set()
    fitting = [kind for kind, member in members.items() if given and given <= set(fields_of(member))]
    guess = f"Add `kind: {fitting[0]}`; " if len(fitting) == 1 else "Add it: "
    return "It does not say its `kind`.", f"{guess}one of {one_of(members)}."


def unknown_word(place: Place, value: object, _context: Mapping[str, object]) -> Words:
    """A word that is none of the allowed ones."""
    given: object = value
    if isinstance(value, (Mapping, BaseModel)) and union_members(place.annotation):
        given = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
        given = given.value if isinstance(given, Enum) else given
    meant = nearest(str(given), place.allowed)
    guess = f"Did you mean `{meant}`? " if meant else ""
    subject = "The kind" if union_members(place.annotation) else "It"
    return f"{subject} `{shown(given)}` is not known here.", f"{guess}It is one of {one_of(place.allowed)}."


def wrong_pattern(_place: Place, value: object, context: Mapping[str, object]) -> Words:
    """A text of another form."""
    words = PATTERNS.get(str(context.get("pattern")))
    return f"`{shown(value)}` has the wrong form.", f"It must be {words}." if words else "See the reference."


def expects(what: str, remedy: str = "") -> Callable[[Place, object, Mapping[str, object]], Words]:
    """A value of another kind."""

    def tell(place: Place, value: object, _context: Mapping[str, object]) -> Words:
        given = kind_of(value)
        if isinstance(value, str):
            given = f'the text "{shown(value)}"'
        elif isinstance(value, (int, float)):
            given = f"`{str(value).lower()}`"
        return f"It must be {what}, not {given}.", remedy or meaning(place)

    return tell


def limit(words: str, name: str) -> Callable[[Place, object, Mapping[str, object]], Words]:
    """A value beyond a limit."""

    def tell(place: Place, value: object, context: Mapping[str, object]) -> Words:
        constraints = place.field.metadata if place.field else []
        exact = (getattr(constraint, name, None) for constraint in constraints)
        bound = next((bound for bound in exact if bound is not None), context.get(name))
        shown_bound = format_duration(bound) if isinstance(bound, timedelta) else str(bound)
        return f"It must be {words} {shown_bound}, not {shown(value)}.", meaning(place)

    return tell


def too_many(place: Place, _value: object, context: Mapping[str, object]) -> Words:
    """A list or mapping with too many entries."""
    return f"It has {context.get('actual_length')} entries, at most {context.get('max_length')} are allowed.", meaning(
        place
    )


def too_few(place: Place, _value: object, context: Mapping[str, object]) -> Words:
    """A list or mapping with too few entries."""
    return f"It needs at least {context.get('min_length')} entry.", meaning(place)


def too_long(_place: Place, value: object, context: Mapping[str, object]) -> Words:
    """A text that is too long."""
    length = len(value) if isinstance(value, str) else "more"
    return f"It has {length} characters, at most {context.get('max_length')} are allowed.", "Shorten it."


def too_short(place: Place, _value: object, _context: Mapping[str, object]) -> Words:
    """A text that is empty."""
    return "It is empty.", meaning(place)


LIST = expects("a list", "Write one `- entry` per line, or [one, another].")
MAPPING = expects("a mapping", "Write one `name: value` per line.")
NUMBER = expects("a number")
WHOLE = expects("a whole number")
DURATION = expects("a duration", "Write it like 500ms, 30s or 1m30s; a plain number counts seconds.")
TELL: dict[str, Callable[[Place, object, Mapping[str, object]], Words]] = {
    "extra_forbidden": unknown_field,
    "missing": missing,
    "union_tag_not_found": kind_missing,
    "union_tag_invalid": unknown_word,
    "enum": unknown_word,
    "literal_error": unknown_word,
    "string_pattern_mismatch": wrong_pattern,
    "string_type": expects("text", "Write it in quotes."),
    "string_too_long": too_long,
    "string_too_short": too_short,
    "too_short": too_few,
    "too_long": too_many,
    "tuple_type": LIST,
    "dict_type": MAPPING,
    "model_type": MAPPING,
    "model_attributes_type": MAPPING,
    "int_type": WHOLE,
    "int_parsing": WHOLE,
    "int_parsing_size": WHOLE,
    "int_from_float": WHOLE,
    "float_type": NUMBER,
    "float_parsing": NUMBER,
    "finite_number": NUMBER,
    "bool_type": expects("true or false"),
    "bool_parsing": expects("true or false"),
    "time_delta_type": DURATION,
    "time_delta_parsing": DURATION,
    "greater_than": limit("more than", "gt"),
    "greater_than_equal": limit("at least", "ge"),
    "less_than": limit("less than", "lt"),
    "less_than_equal": limit("at most", "le"),
}
