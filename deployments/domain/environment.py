"""An environment's record: where it is, what it may hold, what it costs, who may do what. Read from a file, kept in the store."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from deployments.domain.spec.model import Name, Part, Word
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
    permissions: tuple[Permission, ...] = Field(min_length=1)


class Capacity(Part):
    """What all services of the environment together may ask for; None is not limited."""

    cpu: Annotated[float, Field(gt=0)] | None = None
    memory_mb: Annotated[int, Field(gt=0)] | None = None
    disk_mb: Annotated[int, Field(gt=0)] | None = None
    instances: Annotated[int, Field(gt=0)] | None = None


class Prices(Part):
    """Prices per hour, in the currency of the cost limit."""

    cpu_hour: Annotated[float, Field(ge=0)]
    memory_gb_hour: Annotated[float, Field(ge=0)]


class Limits(Part):
    """Limits of policy; None is not limited."""

    cost_per_hour: Annotated[float, Field(ge=0)] | None = None
    deployments_per_day: Annotated[int, Field(ge=0)] | None = None
    services: Annotated[int, Field(ge=0)] | None = None
    allowed_regions: tuple[Word, ...] | None = None


class EnvironmentRecord(Part):
    """A target of deployments."""

    name: Name
    project: Name
    description: str = ""
    region: Word | None = None
    security_level: SecurityLevel = SecurityLevel.INTERNAL
    capacity: Capacity = Capacity()
    limits: Limits = Limits()
    prices: Prices | None = None
    grants: tuple[Grant, ...] = ()

    def permits(self, principal: str, permission: Permission) -> bool:
        """Whether the principal holds the permission; ADMINISTER includes deploy and rollback, never deploy_system."""
        held = {p for grant in self.grants if grant.principal in (principal, "*") for p in grant.permissions}
        if permission in held:
            return True
        return permission is not Permission.DEPLOY_SYSTEM and Permission.ADMINISTER in held
