"""Every validator, in the order people read their results. A new one is a file and a row here."""

from __future__ import annotations

from deployments.domain.environment import Permission
from deployments.domain.facts import Facts
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.validators.capacity import CapacityValidator
from deployments.domain.validators.consistency import ConsistencyValidator
from deployments.domain.validators.cost import CostValidator
from deployments.domain.validators.dependencies import DependenciesValidator
from deployments.domain.validators.enforceable import EnforceableLimitsValidator
from deployments.domain.validators.machine import MachineValidator
from deployments.domain.validators.permission import PermissionValidator
from deployments.domain.validators.placeholders import PlaceholdersValidator
from deployments.domain.validators.ports import PortsValidator
from deployments.domain.validators.principal import VerifiedPrincipalValidator
from deployments.domain.validators.project import ProjectValidator
from deployments.domain.validators.quota import QuotaValidator
from deployments.domain.validators.regions import RegionValidator
from deployments.domain.validators.security_level import SecurityLevelValidator
from deployments.domain.validators.sources import SourcesValidator
from deployments.domain.validators.specification import SpecificationValidator
from deployments.domain.validators.status_transition import StatusTransitionValidator
from deployments.domain.validators.system_level import SystemLevelValidator
from deployments.domain.validators.timing import TimingValidator
from deployments.domain.validators.unique_name import UniqueNameValidator
from deployments.domain.validators.validator import DeploymentValidator, Results
from deployments.domain.validators.versions import VersionsValidator

VALIDATORS: tuple[DeploymentValidator, ...] = (
    StatusTransitionValidator(),
    PermissionValidator(),
    VerifiedPrincipalValidator(),
    SecurityLevelValidator(),
    SystemLevelValidator(),
    ProjectValidator(),
    RegionValidator(),
    SpecificationValidator(),
    DependenciesValidator(),
    UniqueNameValidator(),
    SourcesValidator(),
    VersionsValidator(),
    ConsistencyValidator(),
    PlaceholdersValidator(),
    TimingValidator(),
    PortsValidator(),
    MachineValidator(),
    EnforceableLimitsValidator(),
    CapacityValidator(),
    CostValidator(),
    QuotaValidator(),
)


def validate_all(
    specification: DeploymentSpecification, facts: Facts, *, permission: Permission = Permission.DEPLOY
) -> Results:
    """What every validator says. `permission` is what the principal needs: a rollback asks for its own."""
    found: list[Results] = []
    for validator in VALIDATORS:
        asked = PermissionValidator(permission) if isinstance(validator, PermissionValidator) else validator
        found.append(asked.validate(specification, facts))
    return tuple(result for results in found for result in results)
