"""Validators: one table per rule, what breaks it and what it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from deployments.domain.facts import Principal
from deployments.domain.ports import SourceLock
from deployments.domain.revisions import release_of, revision_of
from deployments.domain.status import DeploymentStatus
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
from deployments.domain.validators.validator import DeploymentValidator
from deployments.domain.validators.versions import VersionsValidator
from deployments.domain.values import Severity
from tests.domain.specifications import environment, facts, machine, running, service, specification

CRITICAL, WARNING, INFO = Severity.CRITICAL, Severity.WARNING, Severity.INFO
UNVERIFIED = Principal("ann", is_verified=False)
SYSTEM_GRANT = [{"principal": "ann", "permissions": ["deploy", "deploy_system"]}]
PRICES = {"cpu_hour": 1.0, "memory_gb_hour": 0.5}


@dataclass
class Case:
    """A rule with what it judges. `says` is part of its only finding; None: the rule holds."""

    rule: DeploymentValidator
    says: str | None = None
    severity: Severity = CRITICAL
    services: list[dict[str, Any]] = field(default_factory=list)
    asked: dict[str, Any] = field(default_factory=dict)
    observed: dict[str, Any] = field(default_factory=dict)
    is_complete: bool = True


def recorded(**fields: Any) -> dict[str, Any]:
    """Facts with an environment of this kind."""
    return {"environment": environment(**fields)}


def pinned(name: str = "api", **fields: Any) -> dict[str, Any]:
    """A service whose source cannot change."""
    return service(name, security_level="system", **fields)


SYSTEM = {"security_level": "system", "grants": SYSTEM_GRANT}
COMMIT = {"metadata": {"commit": "a" * 40}}

CASES: dict[str, Case] = {
    "a move of the table": Case(StatusTransitionValidator()),
    "a move that is not in it": Case(
        StatusTransitionValidator(DeploymentStatus.COMPLETED, DeploymentStatus.DEPLOYING), "cannot become deploying"
    ),
    "a name that is free": Case(UniqueNameValidator(), asked={"name": "first"}, observed={"names_in_use": {"second"}}),
    "a name in use": Case(
        UniqueNameValidator(), "a deployment named first", asked={"name": "first"}, observed={"names_in_use": {"first"}}
    ),
    "a graph": Case(DependenciesValidator(), services=[service("web", dependencies=["api"]), service()]),
    "a circle": Case(DependenciesValidator(), "circle: api -> api", services=[service(dependencies=["api"])]),
    "fields that agree": Case(SpecificationValidator()),
    "fields that do not": Case(
        SpecificationValidator(), "services[0].timing.min_healthy", services=[service(timing={"min_healthy": "2m"})]
    ),
    "who is granted it": Case(PermissionValidator()),
    "who is not": Case(PermissionValidator(), "eve may not deploy", observed={"principal": Principal("eve")}),
    "everybody": Case(
        PermissionValidator(),
        observed={
            "principal": Principal("eve"),
            **recorded(grants=[{"principal": "*", "permissions": ["deploy"]}]),
        },
    ),
    "an environment that is new": Case(PermissionValidator(), observed={"environment": None}),
    "a name that was only stated": Case(VerifiedPrincipalValidator(), observed={"principal": UNVERIFIED}),
    "the same at a restricted environment": Case(
        VerifiedPrincipalValidator(),
        "asks for a verified principal",
        observed={"principal": UNVERIFIED, **recorded(security_level="restricted")},
    ),
    "the same with a restricted service": Case(
        VerifiedPrincipalValidator(),
        "the level restricted",
        services=[service(security_level="restricted")],
        observed={"principal": UNVERIFIED},
    ),
    "a verified name there": Case(VerifiedPrincipalValidator(), observed=recorded(security_level="system")),
    "a service at the environment's level": Case(
        SecurityLevelValidator(),
        services=[service(security_level="restricted")],
        observed=recorded(security_level="restricted"),
    ),
    "a service above it": Case(
        SecurityLevelValidator(),
        "services[0].security_level: api is restricted, which is above production (internal)",
        services=[service(security_level="restricted")],
    ),
    "a service above a new environment": Case(
        SecurityLevelValidator(),
        "above production (internal)",
        services=[service(security_level="system")],
        observed={"environment": None},
    ),
    "no system level": Case(SystemLevelValidator(), observed={"principal": UNVERIFIED}),
    "all that it asks for": Case(
        SystemLevelValidator(), services=[pinned()], asked=COMMIT, observed=recorded(**SYSTEM)
    ),
    "deploy_system is granted apart": Case(
        SystemLevelValidator(),
        "may not deploy at the system level",
        services=[pinned()],
        asked=COMMIT,
        observed=recorded(
            security_level="system", grants=[{"principal": "ann", "permissions": ["deploy", "administer"]}]
        ),
    ),
    "a stated name": Case(
        SystemLevelValidator(),
        "a name that a trigger stated",
        services=[pinned()],
        asked=COMMIT,
        observed={"principal": UNVERIFIED, **recorded(**SYSTEM)},
    ),
    "no commit": Case(
        SystemLevelValidator(), "metadata.commit: It is missing", services=[pinned()], observed=recorded(**SYSTEM)
    ),
    "a directory": Case(
        SystemLevelValidator(),
        "a directory can change",
        services=[pinned(source={"kind": "path", "path": "x"})],
        asked=COMMIT,
        observed=recorded(**SYSTEM),
    ),
    "an archive": Case(
        SystemLevelValidator(),
        services=[pinned(source={"kind": "archive", "path": "x", "sha256": "0" * 64})],
        asked=COMMIT,
        observed=recorded(**SYSTEM),
    ),
    "a branch": Case(
        SystemLevelValidator(),
        "main is not a full commit",
        services=[pinned(source={"kind": "git", "url": "https://example.org/x", "ref": "main"})],
        asked=COMMIT,
        observed=recorded(**SYSTEM),
    ),
    "a full commit": Case(
        SystemLevelValidator(),
        services=[pinned(source={"kind": "git", "url": "https://example.org/x", "ref": "0" * 40})],
        asked=COMMIT,
        observed=recorded(**SYSTEM),
    ),
    "a range of versions": Case(
        SystemLevelValidator(),
        "flask==3.* does not name one exact version",
        services=[pinned(source={"kind": "pypi", "requirement": "flask==3.*"})],
        asked=COMMIT,
        observed=recorded(**SYSTEM),
    ),
    "no hashes": Case(
        SystemLevelValidator(),
        "not everything it was resolved to has a hash",
        services=[pinned()],
        asked=COMMIT,
        observed={"locks": {"api": SourceLock("pypi", "d", ("datasette==0.65.1",))}, **recorded(**SYSTEM)},
    ),
    "the environment's project": Case(ProjectValidator()),
    "another's environment": Case(
        ProjectValidator(), "belongs to shop, not to bank", WARNING, asked={"project": "bank"}
    ),
    "no limit of regions": Case(RegionValidator()),
    "an allowed region": Case(
        RegionValidator(), observed=recorded(region="eu-1", limits={"allowed_regions": ["eu-1"]})
    ),
    "another region": Case(
        RegionValidator(),
        "is in us-1; allowed: eu-1",
        observed=recorded(region="us-1", limits={"allowed_regions": ["eu-1"]}),
    ),
    "a region nobody knows": Case(
        RegionValidator(),
        "does not say which one",
        observed=recorded(limits={"allowed_regions": ["eu-1"]}),
        is_complete=False,
    ),
    "resolved sources": Case(SourcesValidator()),
    "a source that is missing": Case(
        SourcesValidator(), "There is no directory x.", observed={"missing_paths": {"api": "There is no directory x."}}
    ),
    "a source nobody resolved": Case(
        SourcesValidator(), "was not resolved", WARNING, observed={"locks": {}}, is_complete=False
    ),
    "a newer version": Case(VersionsValidator(), observed={"stable": {"api": running(version="0.9")}}),
    "an older version": Case(
        VersionsValidator(),
        "goes back from 1.1 to 1.0",
        WARNING,
        observed={"stable": {"api": running(version="1.1")}},
    ),
    "values that agree": Case(
        ConsistencyValidator(),
        services=[
            service(configuration={"values": {"A": "1"}}),
            service("web", configuration={"values": {"A": "1", "B": "2"}}),
        ],
    ),
    "values that differ": Case(
        ConsistencyValidator(),
        "The value A differs between services: api and web disagree",
        WARNING,
        services=[
            service(configuration={"values": {"A": "1"}}),
            service("web", configuration={"values": {"A": "2"}}),
        ],
    ),
    "values that an override makes agree": Case(
        ConsistencyValidator(),
        services=[
            service(configuration={"values": {"A": "1"}}),
            service("web", configuration={"values": {"A": "2"}}),
        ],
        asked={"configuration_overrides": {"web": {"values": {"A": "1"}}}},
    ),
    "a shared directory": Case(
        ConsistencyValidator(),
        services=[service(run_command=["{resource.data}"]), service("web", run_command=["{resource.data}"])],
        asked={"resource_requirements": [{"name": "data", "kind": "directory"}]},
    ),
    "a shared port": Case(
        ConsistencyValidator(),
        "named by api, web: only one of them can listen",
        WARNING,
        services=[
            service(run_command=["{resource.p}"], deployment_strategy={"kind": "recreate"}),
            service("web", run_command=["{resource.p}"], deployment_strategy={"kind": "recreate"}),
        ],
        asked={"resource_requirements": [{"name": "p", "kind": "port"}]},
    ),
    "a port of old and new": Case(
        ConsistencyValidator(),
        "several instances of api at once",
        WARNING,
        services=[service(run_command=["{resource.p}"])],
        asked={"resource_requirements": [{"name": "p", "kind": "port"}]},
    ),
    "a resource that goes": Case(
        ConsistencyValidator(),
        "is removed when the deployment completes",
        WARNING,
        services=[service(environment_variables={"A": "{resource.t}"})],
        asked={"resource_requirements": [{"name": "t", "kind": "directory", "temporary": True}]},
    ),
    "braces of all kinds": Case(
        PlaceholdersValidator(), services=[service(run_command=["x", '{"a": 1}', "{message}", "${prot}", "{{prot}}"])]
    ),
    "a misspelt word": Case(
        PlaceholdersValidator(),
        "services[0].run_command[1]: {prot} is no placeholder",
        WARNING,
        services=[service(run_command=["x", "{prot}"])],
    ),
    "a family without a name": Case(
        PlaceholdersValidator(),
        "{route} is no placeholder",
        WARNING,
        services=[service(environment_variables={"A": "{route}"})],
    ),
    "a misspelt family": Case(
        PlaceholdersValidator(),
        "{routes.api} is no placeholder",
        WARNING,
        services=[service(environment_variables={"A": "{routes.api}"})],
    ),
    "a placeholder in a build": Case(
        PlaceholdersValidator(),
        "builds know no instance",
        WARNING,
        services=[service(build_command=["make", "{port}"])],
    ),
    "deadlines that fit": Case(
        TimingValidator(),
        services=[
            service(deployment_strategy={"kind": "recreate", "hold": "60s"}),
            service("web", deployment_strategy={"kind": "rolling"}, scaling={"replicas": 2}),
        ],
    ),
    "a hold that is too short": Case(
        TimingValidator(),
        "beyond the hold they fail",
        WARNING,
        services=[service(deployment_strategy={"kind": "recreate"})],
    ),
    "a worker has nothing to hold": Case(
        TimingValidator(), services=[service(type="worker", deployment_strategy={"kind": "recreate"})]
    ),
    "pauses that are too long": Case(
        TimingValidator(),
        "2 batches pause 10m in all",
        WARNING,
        services=[service(deployment_strategy={"kind": "rolling", "pause": "5m"}, scaling={"replicas": 2})],
    ),
    "a batch of everything": Case(
        TimingValidator(), "it is blue-green", WARNING, services=[service(deployment_strategy={"kind": "rolling"})]
    ),
    "a port of its own": Case(
        PortsValidator(), services=[service(port=8000)], observed={"routes": {"api": 8000}, "ports_taken": {8000}}
    ),
    "a port of another service": Case(
        PortsValidator(),
        "8000 is the port of web",
        services=[service(port=8000)],
        observed={"routes": {"web": 8000}},
    ),
    "a port that is taken": Case(
        PortsValidator(), "something else listens", services=[service(port=8000)], observed={"ports_taken": {8000}}
    ),
    "a privileged port": Case(PortsValidator(), "a privileged port", WARNING, services=[service(port=80)]),
    "a machine with room": Case(MachineValidator()),
    "too little memory": Case(
        MachineValidator(),
        "ask for 256 MiB of memory, 200 are free",
        services=[service(scaling={"replicas": 2})],
        observed={"machine": machine(memory_available_mb=200)},
    ),
    "recreate gives memory back first": Case(
        MachineValidator(),
        services=[service(deployment_strategy={"kind": "recreate"})],
        observed={"machine": machine(memory_available_mb=0), "stable": {"api": running()}},
    ),
    "too little disk": Case(
        MachineValidator(),
        "ask for 10 MiB of disk, 5 are free",
        services=[service(resources={"disk_mb": 10})],
        observed={"machine": machine(disk_free_mb=5)},
    ),
    "too few processors": Case(
        MachineValidator(),
        "asks for 9.1 processor cores at once, there are 8",
        WARNING,
        services=[service(resources={"cpu": 9})],
        observed={"stable": {"api": running()}},
    ),
    "limits that hold": Case(EnforceableLimitsValidator()),
    "a limit that is a wish": Case(
        EnforceableLimitsValidator(),
        "cannot hold instances to resources.memory_mb",
        INFO,
        observed={"machine": machine(can_limit_memory=False)},
    ),
    "no capacity given": Case(CapacityValidator()),
    "old and new fit": Case(
        CapacityValidator(), observed={**recorded(capacity={"memory_mb": 256}), "stable": {"api": running()}}
    ),
    "old and new do not": Case(
        CapacityValidator(),
        "would run 256 MiB of memory at once; its capacity is 255",
        observed={**recorded(capacity={"memory_mb": 255}), "stable": {"api": running()}},
    ),
    "recreate runs one at a time": Case(
        CapacityValidator(),
        services=[service(deployment_strategy={"kind": "recreate"})],
        observed={**recorded(capacity={"memory_mb": 128, "instances": 1}), "stable": {"api": running()}},
    ),
    "what else runs counts": Case(
        CapacityValidator(),
        "would run 3 instances at once; its capacity is 2",
        observed={**recorded(capacity={"instances": 2}), "stable": {"web": running("web", instances=2)}},
    ),
    "no limit of cost": Case(CostValidator()),
    "a cost within": Case(CostValidator(), observed=recorded(limits={"cost_per_hour": 0.17}, prices=PRICES)),
    "a cost beyond": Case(
        CostValidator(),
        "would cost 0.1625 per hour; its limit is 0.16",
        observed=recorded(limits={"cost_per_hour": 0.16}, prices=PRICES),
    ),
    "what else runs costs": Case(
        CostValidator(),
        "would cost 0.325 per hour",
        observed={**recorded(limits={"cost_per_hour": 0.2}, prices=PRICES), "stable": {"web": running("web")}},
    ),
    "no prices": Case(
        CostValidator(), "no prices to count with", observed=recorded(limits={"cost_per_hour": 9}), is_complete=False
    ),
    "no quota": Case(QuotaValidator(), observed={"deployments_today": 99}),
    "a day's quota used": Case(
        QuotaValidator(),
        "had 2 deployments within a day; its quota is 2",
        observed={**recorded(limits={"deployments_per_day": 2}), "deployments_today": 2},
    ),
    "a day's quota left": Case(
        QuotaValidator(), observed={**recorded(limits={"deployments_per_day": 2}), "deployments_today": 1}
    ),
    "too many services": Case(
        QuotaValidator(),
        "would run 2 services; its quota is 1",
        observed={**recorded(limits={"services": 1}), "stable": {"web": running("web")}},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_rule_says_what_it_found(case: Case) -> None:
    asked, observed = specification(*case.services, **case.asked), facts(**case.observed)
    results = case.rule.validate(asked, observed)
    assert all(
        (r.validator, r.category, r.timestamp) == (case.rule.name, case.rule.category, observed.now) for r in results
    )
    [result] = results
    if case.says is None:
        assert (result.is_valid, result.is_complete) == (True, True), result.message
        return
    assert not result.is_valid
    assert case.says in result.message
    assert result.severity is case.severity
    assert result.is_complete is case.is_complete
    assert result.recommendations or isinstance(case.rule, StatusTransitionValidator)


def test_what_runs_already_starts_nothing() -> None:
    asked, lock = specification(), facts().locks["api"]
    release = release_of(asked.services[0], lock)
    stable = running(revision=revision_of(asked, asked.services[0], release))
    observed = facts(
        stable={"api": stable}, machine=machine(memory_available_mb=0), **recorded(capacity={"instances": 1})
    )
    assert MachineValidator().validate(asked, observed)[0].is_valid
    assert CapacityValidator().validate(asked, observed)[0].is_valid


def test_a_cost_within_its_limit_tells_what_deploying_costs() -> None:
    observed = facts(stable={"api": running()}, **recorded(limits={"cost_per_hour": 1}, prices=PRICES))
    [result] = CostValidator().validate(specification(), observed)
    assert result.details == {"cost": pytest.approx(0.1625), "while_deploying": pytest.approx(0.325)}
