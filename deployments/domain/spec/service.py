"""One deployable unit of a specification."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from deployments.domain.spec.checks import Check, HealthCheck
from deployments.domain.spec.model import Duration, Name, Part, Word
from deployments.domain.spec.source import Source
from deployments.domain.spec.strategy import BlueGreen, Strategy

VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100)]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$")]


class ServiceType(StrEnum):
    """`web` has a route and receives traffic; `worker` runs without one."""

    WEB = "web"
    WORKER = "worker"


class Framework(StrEnum):
    """How the source becomes something to run: in a virtual environment, as it is, or served as files."""

    PYTHON = "python"
    STATIC = "static"
    NONE = "none"


class SecurityLevel(StrEnum):
    """How sensitive a service or an environment is, ascending."""

    PUBLIC = "public"
    INTERNAL = "internal"
    RESTRICTED = "restricted"
    SYSTEM = "system"


class ServiceResources(Part):
    """What one instance may use; enforced where the machine allows it, and said where it does not."""

    cpu: Annotated[float, Field(gt=0, le=256)] = 0.1
    """Processor cores."""
    memory_mb: Annotated[int, Field(ge=16, le=1_000_000)] = 128
    disk_mb: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    open_files: Annotated[int, Field(ge=16, le=1_000_000)] | None = None


class Scaling(Part):
    """How many instances run."""

    replicas: Annotated[int, Field(ge=1, le=50)] = 1


class Configuration(Part):
    """Rendered for each deployment: files for the service, and values that fill `{value.NAME}` in files and commands."""

    files: dict[FileName, str] = {}
    values: dict[VariableName, str] = {}


class Timing(Part):
    """min_healthy < healthy_deadline < progress_deadline, or the specification is refused."""

    min_healthy: Duration = timedelta(0)
    """How long an instance must stay healthy before it counts."""
    healthy_deadline: Duration = timedelta(seconds=60)
    """How long an instance may take to become healthy."""
    progress_deadline: Duration = timedelta(minutes=10)
    """How long the service's whole rollout may take."""


class ServiceSpecification(Part):
    """One deployable unit: where it comes from, how it runs, how it is asked, how its traffic moves."""

    name: Name
    version: Word
    """PEP 440 or semantic version; validated by a grammar."""
    type: ServiceType = ServiceType.WEB
    dependencies: tuple[Name, ...] = ()
    """Services of this specification that must be ready first; reached through `{route.NAME}`."""
    provider: Name = "internal"
    source: Source
    framework: Framework = Framework.PYTHON
    install_command: tuple[Word, ...] = ()
    build_command: tuple[Word, ...] = ()
    output_directory: FileName | None = None
    """The part of the built source that is kept."""
    run_command: tuple[Word, ...] = ()
    """Program and arguments; `{port}`, `{config}`, `{route.NAME}`, `{resource.NAME}`, `{value.NAME}` are filled in."""
    environment_variables: dict[VariableName, str] = {}
    resources: ServiceResources = ServiceResources()
    configuration: Configuration = Configuration()
    health_checks: tuple[HealthCheck, ...] = (HealthCheck(),)
    scaling: Scaling = Scaling()
    deployment_strategy: Strategy = BlueGreen()
    checks: tuple[Check, ...] = ()
    timing: Timing = Timing()
    security_level: SecurityLevel = SecurityLevel.INTERNAL
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """The public port of its route; chosen and then kept unless given."""
