"""An environment's record: where it is, what it may hold, what it costs, who may do what."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from deployments.domain.spec.model import Name, Part, Text, Word
from deployments.domain.spec.service import SecurityLevel


class Permission(StrEnum):
    """What a principal may do in an environment."""

    DEPLOY = "deploy"
    DEPLOY_SYSTEM = "deploy_system"
    ROLLBACK = "rollback"
    ADMINISTER = "administer"


class Grant(Part):
    """Permissions of one principal; `*` is everybody."""

    principal: Word
    """A name of the operating system or of a trigger; `*` is everybody."""
    permissions: tuple[Permission, ...] = Field(min_length=1)
    """`deploy`, `rollback`, `administer` (both of them, and this record), `deploy_system` (never included)."""


class Capacity(Part):
    """What all services of the environment together may ask for; None is not limited."""

    cpu: Annotated[float, Field(strict=True, gt=0)] | None = None
    """Processor cores."""
    memory_mb: Annotated[int, Field(strict=True, gt=0)] | None = None
    """Memory in MiB."""
    disk_mb: Annotated[int, Field(strict=True, gt=0)] | None = None
    """Disk in MiB, beside the releases."""
    instances: Annotated[int, Field(strict=True, gt=0)] | None = None
    """Instances running at once: old and new count while a deployment is under way."""


class Prices(Part):
    """Prices per hour, in the currency of the cost limit."""

    cpu_hour: Annotated[float, Field(strict=True, ge=0)]
    """One processor core for an hour."""
    memory_gb_hour: Annotated[float, Field(strict=True, ge=0)]
    """One GiB of memory for an hour."""


class Limits(Part):
    """Limits of policy; None is not limited."""

    cost_per_hour: Annotated[float, Field(strict=True, ge=0)] | None = None
    """What everything running in the environment may cost per hour. It needs `prices`."""
    deployments_per_day: Annotated[int, Field(strict=True, ge=0)] | None = None
    """Deployments that may be started within a day."""
    services: Annotated[int, Field(strict=True, ge=0)] | None = None
    """Services that may run in the environment."""
    allowed_regions: tuple[Word, ...] | None = None
    """Regions the environment may be in. It needs `region`."""


class EnvironmentRecord(Part):
    """A target of deployments."""

    name: Name
    """Named by `target_environment` of a specification."""
    project: Name
    """The project whose services it runs."""
    description: Text = ""
    """What it is for, in words."""
    region: Word | None = None
    """Where it is."""
    security_level: SecurityLevel = SecurityLevel.INTERNAL
    """How sensitive it is: services above it are refused, `restricted` and `system` ask for a verified principal."""
    capacity: Capacity = Capacity()
    """What all its services together may ask for."""
    limits: Limits = Limits()
    """Limits of policy."""
    prices: Prices | None = None
    """What running costs; needed by `limits.cost_per_hour`."""
    grants: tuple[Grant, ...] = ()
    """Who may do what."""

    def permits(self, principal: str, permission: Permission) -> bool:
        """Whether the principal holds the permission; ADMINISTER includes deploy and rollback, never deploy_system."""
        held = {p for grant in self.grants if grant.principal in (principal, "*") for p in grant.permissions}
        if permission in held:
            return True
        return permission is not Permission.DEPLOY_SYSTEM and Permission.ADMINISTER in held
