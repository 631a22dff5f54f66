"""One deployable unit of a specification."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from deployments.domain.spec.checks import Check, HealthCheck
from deployments.domain.spec.model import (
    Duration,
    FileContent,
    FileName,
    Name,
    Part,
    PositiveDuration,
    Program,
    VariableName,
    VariableValue,
    Word,
)
from deployments.domain.spec.source import Source
from deployments.domain.spec.strategy import BlueGreen, Strategy


class ServiceType(StrEnum):
    """`web` has a route and receives traffic; `worker` runs without one."""

    WEB = "web"
    WORKER = "worker"


class Framework(StrEnum):
    """How the source becomes something to run: in a virtual environment, served as files, or as it is."""

    PYTHON = "python"
    STATIC = "static"
    NONE = "none"


class SecurityLevel(StrEnum):
    """How sensitive a service or an environment is, ascending."""

    PUBLIC = "public"
    INTERNAL = "internal"
    RESTRICTED = "restricted"
    SYSTEM = "system"

    @property
    def rank(self) -> int:
        """0 for public, growing with sensitivity."""
        return tuple(SecurityLevel).index(self)


class ServiceResources(Part):
    """What one instance may use; enforced where the machine allows it, and said where it does not."""

    cpu: Annotated[float, Field(strict=True, gt=0, le=256)] = 0.1
    """Processor cores."""
    memory_mb: Annotated[int, Field(strict=True, ge=16, le=1_000_000)] = 128
    """Memory in MiB."""
    disk_mb: Annotated[int, Field(strict=True, ge=0, le=10_000_000)] = 0
    """Disk in MiB, beside its release."""
    open_files: Annotated[int, Field(strict=True, ge=16, le=1_000_000)] | None = None
    """Files and sockets open at once; the machine's own limit unless given."""


class Scaling(Part):
    """How many instances run."""

    replicas: Annotated[int, Field(strict=True, ge=1, le=50)] = 1
    """Instances that share the traffic."""


class Configuration(Part):
    """Rendered for each deployment: files for the service, values that fill `{value.NAME}` in files and commands."""

    files: dict[FileName, FileContent] = Field(default_factory=dict)
    """By name, below the directory `{config}`. Placeholders in them are filled; all other braces stay as they are."""
    values: dict[VariableName, VariableValue] = Field(default_factory=dict)
    """By name, for `{value.NAME}`."""


class Timing(Part):
    """min_healthy < healthy_deadline < progress_deadline, or the specification is refused."""

    min_healthy: Duration = timedelta(0)
    """How long an instance must stay healthy before it counts."""
    healthy_deadline: PositiveDuration = timedelta(seconds=60)
    """How long an instance may take to become healthy."""
    progress_deadline: PositiveDuration = timedelta(minutes=10)
    """How long the service's whole rollout may take."""


class ServiceSpecification(Part):
    """One deployable unit: where it comes from, how it runs, how it is asked, how its traffic moves."""

    name: Name
    """Unique within the specification."""
    version: Word
    """PEP 440 or semantic version."""
    type: ServiceType = ServiceType.WEB
    """`web` has a route and receives traffic; `worker` runs without one."""
    dependencies: tuple[Name, ...] = Field(default=(), max_length=1000)
    """Services of this specification that must be ready first; reached through `{route.NAME}`."""
    provider: Name = "internal"
    """Who runs it. `internal`: supervised processes on this machine."""
    source: Source
    """Where its code comes from."""
    framework: Framework = Framework.PYTHON
    """`python`: installed into a virtual environment; `static`: files that are served; `none`: run as it is."""
    install_command: Program = ()
    """Run in the build directory before the build command, in place of the framework's own installation."""
    build_command: Program = ()
    """Run in the build directory after the installation."""
    output_directory: FileName | None = None
    """The part of the built source that is kept; all of it unless given."""
    run_command: Program = ()
    """Program and arguments; `{port}`, `{config}`, `{release}`, `{bin}`, `{route.NAME}`, `{resource.NAME}` and
    `{value.NAME}` are filled in. A static service has a server of its own unless this is given."""
    environment_variables: dict[VariableName, VariableValue] = Field(default_factory=dict)
    """Given to its process. The same placeholders are filled in."""
    resources: ServiceResources = ServiceResources()
    """What one instance may use."""
    configuration: Configuration = Configuration()
    """Its files and values."""
    health_checks: tuple[HealthCheck, ...] = Field(default=(HealthCheck(),), max_length=20)
    """All must be good. Unless given: its port accepts a connection; a worker counts as healthy while it runs."""
    scaling: Scaling = Scaling()
    """How many instances run."""
    deployment_strategy: Strategy = BlueGreen()
    """How its traffic moves from the old release to the new."""
    checks: tuple[Check, ...] = Field(default=(), max_length=100)
    """Asked of a new release before, during and after it receives traffic."""
    timing: Timing = Timing()
    """Its deadlines."""
    security_level: SecurityLevel = SecurityLevel.INTERNAL
    """How sensitive it is; not above the environment's."""
    port: Annotated[int, Field(strict=True, ge=1, le=65535)] | None = None
    """The public port of its route; chosen and then kept unless given."""

    @model_validator(mode="before")
    @classmethod
    def _a_worker_has_no_port_to_ask(cls, data: object) -> object:
        if isinstance(data, Mapping) and data.get("type") == "worker" and "health_checks" not in data:
            return {**data, "health_checks": ()}
        return data
