"""Every rule between fields, in the order people read their findings. A new one is a function and a row here."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from deployments.domain.spec.problems import Finding, Problem, field_path
from deployments.domain.spec.rules import configuration, graph, running, sources, timing, uniqueness
from deployments.domain.spec.specification import DeploymentSpecification

Rule = Callable[[DeploymentSpecification], Iterator[Finding]]
RULES: tuple[Rule, ...] = (
    uniqueness.service_names,
    uniqueness.ports,
    uniqueness.check_names,
    uniqueness.resource_names,
    graph.unknown_dependencies,
    graph.cycles,
    graph.activation_order,
    sources.versions,
    sources.sources,
    sources.packages,
    running.providers,
    running.run_commands,
    running.workers,
    timing.deadlines,
    timing.health_can_be_reached,
    timing.tolerated_failures,
    configuration.overrides,
    configuration.file_names,
    configuration.placeholders,
)


def findings_of(specification: DeploymentSpecification) -> tuple[Finding, ...]:
    """Everything that is wrong between the fields of a specification; () when nothing is."""
    return tuple(finding for rule in RULES for finding in rule(specification))


def problems_of(specification: DeploymentSpecification) -> tuple[Problem, ...]:
    """The same as problems, for a specification that came from no file."""
    return tuple(Problem(field_path(f.path), f.message, f.remedy) for f in findings_of(specification))
