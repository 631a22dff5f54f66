"""Files and values that reach a service: overrides that meet one, placeholders that have a value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from deployments.domain.placeholders import Placeholder, used_in
from deployments.domain.spec.checks import CommandProbe, Probe
from deployments.domain.spec.problems import Finding, Path, nearest, one_of
from deployments.domain.spec.rules.graph import unknown_service
from deployments.domain.spec.service import ServiceSpecification, ServiceType
from deployments.domain.spec.specification import DeploymentSpecification

IN_COMMANDS = frozenset({"port", "config", "release", "bin", "python"})
IN_FILES = frozenset({"release", "bin", "python"})
IN_PROBES = frozenset({"port", "url", "bin"})


def overrides(specification: DeploymentSpecification) -> Iterator[Finding]:
    """An override is laid over a service that exists."""
    known = {service.name for service in specification.services}
    for name in specification.configuration_overrides:
        if name not in known:
            yield unknown_service(("configuration_overrides", name), name, known)


def file_names(specification: DeploymentSpecification) -> Iterator[Finding]:
    """No file has the name of another's directory."""
    for service, path, files in _all_files(specification):
        names = set(service.configuration.files) | set(files)
        for name in files:
            parent = name.rpartition("/")[0]
            while parent:
                if parent in names:
                    yield Finding((*path, name), f"`{parent}` is a file, so it holds no other.", "Rename one of them.")
                parent = parent.rpartition("/")[0]


def placeholders(specification: DeploymentSpecification) -> Iterator[Finding]:
    """Every placeholder has a value where it stands."""
    known = Known.of(specification)
    for index, service in enumerate(specification.services):
        values = set(service.configuration.values)
        if override := specification.configuration_overrides.get(service.name):
            values |= set(override.values)
        for path, template, words in _templates(specification, index, service):
            for placeholder in used_in(template):
                yield from known.judge(path, placeholder, service, values, words)


@dataclass(frozen=True, slots=True)
class Known:
    """What placeholders of every service can name."""

    types: dict[str, ServiceType]
    resources: frozenset[str]

    @staticmethod
    def of(specification: DeploymentSpecification) -> Known:
        """From the whole specification."""
        types = {service.name: service.type for service in specification.services}
        return Known(types, frozenset(need.name for need in specification.resource_requirements))

    def judge(
        self,
        path: Path,
        placeholder: Placeholder,
        service: ServiceSpecification,
        values: set[str],
        words: frozenset[str],
    ) -> Iterator[Finding]:
        """Whether it has a value at this place in this service."""
        name = placeholder.name
        if name is None:
            if placeholder.word not in words:
                remedy = f"Here are known: {one_of(f'{{{word}}}' for word in sorted(words))}. {_escaped(placeholder)}"
                yield Finding(path, f"{placeholder} has no value here.", remedy)
        elif words is IN_PROBES:
            remedy = f"Here are known: {one_of(f'{{{word}}}' for word in sorted(words))}. {_escaped(placeholder)}"
            yield Finding(path, f"{placeholder} has no value here.", remedy)
        elif placeholder.word == "route":
            yield from self._route(path, placeholder, name, service)
        elif placeholder.word == "resource" and name not in self.resources:
            yield _unknown(path, placeholder, name, self.resources, "resource_requirements")
        elif placeholder.word == "value" and name not in values:
            yield _unknown(path, placeholder, name, values, "configuration.values")

    def _route(
        self, path: Path, placeholder: Placeholder, name: str, service: ServiceSpecification
    ) -> Iterator[Finding]:
        if name not in self.types:
            yield _unknown(path, placeholder, name, self.types, "services")
        elif self.types[name] is ServiceType.WORKER:
            yield Finding(path, f"{placeholder} has no value: `{name}` is a worker.", f"Make `{name}` a web service.")
        elif name != service.name and name not in service.dependencies:
            message = f"{placeholder} names a service that `{service.name}` does not depend on."
            yield Finding(path, message, f"Add `{name}` to its `dependencies`, so that it is ready first.")


def _unknown(path: Path, placeholder: Placeholder, name: str, known: Iterable[str], place: str) -> Finding:
    known = sorted(known)
    meant = nearest(name, known)
    guess = f"Did you mean `{meant}`? " if meant else ""
    listed = f"`{place}` has {one_of(known)}." if known else f"`{place}` has none."
    return Finding(path, f"{placeholder} names nothing.", f"{guess}{listed} {_escaped(placeholder)}")


def _escaped(placeholder: Placeholder) -> str:
    return f"Write {{{placeholder}}} to keep it as it is."


def _templates(
    specification: DeploymentSpecification, index: int, service: ServiceSpecification
) -> Iterator[tuple[Path, str, frozenset[str]]]:
    """Every text of a service that is filled: its path, itself, and the words known there."""
    path: Path = ("services", index)
    for place, word in enumerate(service.run_command):
        yield (*path, "run_command", place), word, IN_COMMANDS
    for name, text in service.environment_variables.items():
        yield (*path, "environment_variables", name), text, IN_COMMANDS
    for name, text in service.configuration.files.items():
        yield (*path, "configuration", "files", name), text, IN_FILES
    if override := specification.configuration_overrides.get(service.name):
        for name, text in override.files.items():
            yield ("configuration_overrides", service.name, "files", name), text, IN_FILES
    yield from _probes(path, service)


def _probes(path: Path, service: ServiceSpecification) -> Iterator[tuple[Path, str, frozenset[str]]]:
    asked: list[tuple[str, int, Probe]] = [
        *(("health_checks", place, check.probe) for place, check in enumerate(service.health_checks)),
        *(("checks", place, check.probe) for place, check in enumerate(service.checks)),
    ]
    for field, place, probe in asked:
        if isinstance(probe, CommandProbe):
            for position, word in enumerate(probe.command):
                yield (*path, field, place, "probe", "command", position), word, IN_PROBES


def _all_files(
    specification: DeploymentSpecification,
) -> Iterator[tuple[ServiceSpecification, Path, dict[str, str]]]:
    for index, service in enumerate(specification.services):
        yield service, ("services", index, "configuration", "files"), service.configuration.files
        if override := specification.configuration_overrides.get(service.name):
            yield service, ("configuration_overrides", service.name, "files"), override.files
