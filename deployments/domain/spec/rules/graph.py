"""Services depend on services that exist, and not in a circle; traffic moves in an order that respects it."""

from __future__ import annotations

from collections.abc import Iterator

from deployments.domain.graph import find_cycle
from deployments.domain.spec.problems import Finding, nearest, one_of, repeated
from deployments.domain.spec.specification import DeploymentSpecification

MOST_CYCLES = 10
"""More circles than these are shown once the first are gone."""


def unknown_dependencies(specification: DeploymentSpecification) -> Iterator[Finding]:
    """A dependency names another service of the specification, once."""
    known = {service.name for service in specification.services}
    for index, service in enumerate(specification.services):
        for place, name in enumerate(service.dependencies):
            path = ("services", index, "dependencies", place)
            if name not in known:
                yield unknown_service(path, name, known)
        for place, _, name in repeated(service.dependencies):
            yield Finding(("services", index, "dependencies", place), f"`{name}` is named twice.", "Name it once.")


def unknown_service(path: tuple[str | int, ...], name: str, known: set[str]) -> Finding:
    """A name that no service has, with the one that was probably meant."""
    meant = nearest(name, known)
    guess = f"Did you mean `{meant}`? " if meant else ""
    return Finding(path, f"There is no service `{name}`.", f"{guess}Services here: {one_of(sorted(known))}.")


def cycles(specification: DeploymentSpecification) -> Iterator[Finding]:
    """No service waits for itself. Each circle is named once, as a -> b -> a."""
    places = {service.name: index for index, service in reversed(list(enumerate(specification.services)))}
    edges = {service.name: set(service.dependencies) for service in specification.services}
    for _ in range(MOST_CYCLES):
        cycle = find_cycle(edges)
        if not cycle:
            return
        start = min(range(len(cycle) - 1), key=lambda at: places[cycle[at]])
        named = (*cycle[start:-1], *cycle[:start], cycle[start])
        yield Finding(
            ("services", places[named[0]], "dependencies"),
            f"The services depend on each other in a circle: {' -> '.join(named)}.",
            "Remove one of these dependencies.",
        )
        for name in cycle:
            edges.pop(name, None)


def activation_order(specification: DeploymentSpecification) -> Iterator[Finding]:
    """When given, it names every service once, each after those it depends on."""
    order = specification.activation_order
    if not order:
        return
    known = {service.name for service in specification.services}
    for place, name in enumerate(order):
        if name not in known:
            yield unknown_service(("activation_order", place), name, known)
    for place, _, name in repeated(order):
        yield Finding(("activation_order", place), f"`{name}` is named twice.", "Name it once.")
    if missing := sorted(known - set(order)):
        remedy = "Add them, or leave `activation_order` out: it is then derived from the dependencies."
        yield Finding(("activation_order",), f"It does not name {one_of(missing)}.", remedy)
    yield from _out_of_order(specification)


def _out_of_order(specification: DeploymentSpecification) -> Iterator[Finding]:
    place = {name: index for index, name in reversed(list(enumerate(specification.activation_order)))}
    for service in specification.services:
        for dependency in service.dependencies:
            if place.get(dependency, -1) > place.get(service.name, len(place)):
                yield Finding(
                    ("activation_order", place[service.name]),
                    f"`{service.name}` comes before `{dependency}`, which it depends on.",
                    f"Move `{dependency}` before `{service.name}`.",
                )
