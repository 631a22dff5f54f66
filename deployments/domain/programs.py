"""Fills a service's command, environment and files with what was provisioned: one instance's `Program`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deployments.domain.errors import Refused
from deployments.domain.placeholders import fill
from deployments.domain.ports import BuiltRelease, Program
from deployments.domain.revisions import configuration_of
from deployments.domain.spec.service import Framework, ServiceSpecification
from deployments.domain.spec.specification import DeploymentSpecification

STATIC_COMMAND = ("{python}", "-m", "http.server", "{port}", "--bind", "127.0.0.1", "--directory", "{release}")
PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a service finds around it: routes as base URLs by service, resource values by name, directories."""

    routes: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, str] = field(default_factory=dict)
    configuration: Path | None = None
    release: BuiltRelease | None = None
    python: str = "python3"


def values_for(
    specification: DeploymentSpecification, service: ServiceSpecification, around: Surroundings, port: int | None
) -> dict[str, str]:
    """Every placeholder and its value."""
    values = {f"route.{name}": url for name, url in around.routes.items()}
    values |= {f"resource.{name}": value for name, value in around.resources.items()}
    values |= {f"value.{name}": value for name, value in configuration_of(specification, service).values.items()}
    values["python"] = around.python
    if port is not None:
        values["port"] = str(port)
    if around.configuration:
        values["config"] = str(around.configuration)
    if around.release:
        values["release"] = str(around.release.path)
        values["bin"] = str(around.release.bin or around.release.path)
    return values


def files_for(
    specification: DeploymentSpecification, service: ServiceSpecification, around: Surroundings
) -> dict[str, str]:
    """The configuration files with their placeholders filled."""
    values = values_for(specification, service, around, None)
    files = configuration_of(specification, service).files
    return {name: fill(text, values) for name, text in files.items()}


def program_for(
    specification: DeploymentSpecification,
    service: ServiceSpecification,
    around: Surroundings,
    *,
    instance: str,
    revision: str,
    port: int,
    log: Path,
) -> Program:
    """The program of one instance. Raises Refused when there is nothing to run."""
    command = service.run_command
    if not command and service.framework is Framework.STATIC:
        command = STATIC_COMMAND
    if not command or around.release is None:
        raise Refused(f"{service.name} has no run_command.", remedy="Give one.", service=service.name)
    values = values_for(specification, service, around, port)
    search = f"{around.release.bin}:{PATH}" if around.release.bin else PATH
    environment = {
        "PATH": search,
        "LANG": "C.UTF-8",
        "HOME": str(around.configuration or log.parent),
        "PORT": str(port),
        "FAIRLEAD_SERVICE": service.name,
        "FAIRLEAD_REVISION": revision,
    }
    if around.release.bin:
        environment["VIRTUAL_ENV"] = str(around.release.bin.parent)
    for name, url in around.routes.items():
        environment[f"FAIRLEAD_ROUTE_{name.upper().replace('-', '_')}"] = url
    environment |= {name: fill(value, values) for name, value in service.environment_variables.items()}
    return Program(
        instance=instance,
        project_environment=specification.target_environment,
        service=service.name,
        revision=revision,
        command=tuple(fill(word, values) for word in command),
        directory=around.release.path,
        environment=environment,
        port=port,
        log=log,
        memory_mb=service.resources.memory_mb,
        cpu=service.resources.cpu,
        open_files=service.resources.open_files,
    )
