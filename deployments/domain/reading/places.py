"""Finds the field of a model that a pydantic error is about: its path in the data, and what it may hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from deployments.domain.spec.problems import Path


@dataclass(frozen=True, slots=True)
class Place:
    """A field: `model` is the part it belongs to, `field` its definition, `annotation` what it may hold."""

    path: Path
    annotation: object
    model: type[BaseModel] | None = None
    field: FieldInfo | None = None

    @property
    def allowed(self) -> tuple[str, ...]:
        """The words it may be: of an enum, a literal, or the kinds of a union."""
        if members := union_members(self.annotation):
            return tuple(members)
        return words_of(self.annotation)

    @property
    def is_required(self) -> bool:
        """Whether the part it belongs to cannot be without it."""
        return self.field is not None and self.field.is_required()

    @property
    def is_field(self) -> bool:
        """Whether it belongs to a part, not to a list or a mapping."""
        return self.model is not None


def place_of(model: type[BaseModel], location: Iterable[int | str]) -> Place:
    """The field at the end of a pydantic location."""
    return way_to(model, location)[-1]


def way_to(model: type[BaseModel], location: Iterable[int | str]) -> list[Place]:
    """Follow a pydantic location, which also names union members and keys, through the models: one place per step."""
    places = [Place((), model)]
    for step in location:
        place = places[-1]
        members = union_members(place.annotation)
        if isinstance(step, str) and step in members:
            places[-1] = Place(place.path, members[step], place.model, place.field)
        elif step != "[key]":
            places.append(below(place.annotation, step, (*place.path, step)))
    return places


def below(annotation: object, step: str | int, path: Path) -> Place:
    """One step down."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = fields_of(annotation).get(str(step))
        return Place(path, bare(field.annotation) if field else None, annotation, field)
    arguments = get_args(annotation)
    if get_origin(annotation) is dict:
        return Place(path, bare(arguments[1]))
    return Place(path, bare(arguments[0]) if arguments else None)


def fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """A model's fields by the name they are written with."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def bare(annotation: object) -> object:
    """Without constraints and without the alternative of being left out."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
        if len(kinds) == 1:
            return bare(kinds[0])
    return annotation


def union_members(annotation: object) -> dict[str, type[BaseModel]]:
    """The parts of a union by their `kind`; empty for anything else."""
    members: dict[str, type[BaseModel]] = {}
    if get_origin(annotation) in (Union, UnionType):
        for member in get_args(annotation):
            if isinstance(member, type) and issubclass(member, BaseModel) and "kind" in member.model_fields:
                members[str(member.model_fields["kind"].default)] = member
    return members


def words_of(annotation: object) -> tuple[str, ...]:
    """The words of an enum or a literal."""
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return tuple(str(member.value) for member in annotation)
    if get_origin(annotation) is Literal:
        return tuple(str(word) for word in get_args(annotation))
    return ()
