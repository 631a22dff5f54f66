"""Makes the plan: specification + facts -> typed steps by phase. Pure: the same input gives the same plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from deployments.domain.errors import Refused
from deployments.domain.facts import Facts, RunningRelease
from deployments.domain.graph import find_cycle, waves
from deployments.domain.plan import ChangeKind, Plan, ServiceChange
from deployments.domain.revisions import configuration_of, release_of, revision_of
from deployments.domain.risk import assess_reversibility, assess_risk
from deployments.domain.spec.checks import When
from deployments.domain.spec.service import ServiceSpecification, ServiceType
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.steps import (
    AnyAction,
    ArmHandle,
    AttachInstance,
    AwaitHealthy,
    Bake,
    BuildRelease,
    DeclareRoutes,
    DisarmHandle,
    HoldTraffic,
    KeepWarm,
    MarkStable,
    Phase,
    PromoteRoutes,
    ProvisionResource,
    ReleaseTraffic,
    RemoveTemporary,
    RenderConfiguration,
    RetireInstance,
    RunChecks,
    ShiftTraffic,
    StartInstance,
    Step,
    StopInstance,
    VerifyIntegration,
    WriteReport,
)
from deployments.domain.strategies.decision import Stage
from deployments.domain.strategies.table import STRATEGIES


def resource_key(environment: str, name: str) -> str:
    """The name of a resource across deployments."""
    return f"{environment}.{name}"


def activation_edges(specification: DeploymentSpecification) -> dict[str, list[str]]:
    """What each service waits for: its dependencies, and the one before it in a given activation order."""
    edges = {service.name: list(service.dependencies) for service in specification.services}
    order = [name for name in specification.activation_order if name in edges]
    for earlier, later in pairwise(order):
        if earlier not in edges[later]:
            edges[later].append(earlier)
    return edges


def plan_deployment(
    specification: DeploymentSpecification, facts: Facts, *, deployment: str, is_rollback: bool = False
) -> Plan:
    """The whole plan. `deployment` is the id that names new instances. Raises Refused for a cycle.

    Planning what already runs gives an empty plan. With `skip_deploy`, only the releases are built.
    """
    edges = activation_edges(specification)
    if cycle := find_cycle(edges):
        raise Refused(f"The services depend on each other in a circle: {' -> '.join(cycle)}.", cycle=cycle)
    moving = frozenset(s.name for s in specification.services if s.name in facts.routes and is_elsewhere(s, facts))
    changes = tuple(plan_change(specification, s, facts, deployment, moving=moving) for s in specification.services)
    changed = [change for change in changes if change.kind is not ChangeKind.UNCHANGED]
    found_waves = waves(edges)
    builder = PlanBuilder(specification, facts, deployment, is_rollback)
    if specification.skip_deploy:
        builder.build(changed)
        builder.add(Phase.PREPARATION, "report", WriteReport(), after=[s.key for s in builder.steps])
    elif changed:
        builder.prepare(changed)
        builder.deploy(changed, found_waves, edges)
        builder.complete(changed)
    return Plan(
        environment=specification.target_environment,
        changes=changes,
        steps=tuple(builder.steps) if changed else (),
        risk=assess_risk(specification, facts, changes),
        reversibility=assess_reversibility(specification, changes),
        is_rollback=is_rollback,
        waves=found_waves,
    )


def plan_change(
    specification: DeploymentSpecification,
    service: ServiceSpecification,
    facts: Facts,
    deployment: str,
    *,
    moving: frozenset[str] = frozenset(),
) -> ServiceChange:
    """Compare what is asked with what runs. `moving`: services whose address changes.

    Who needs one of those is started anew, since an instance keeps the addresses that it was started with.
    """
    lock = facts.locks.get(service.name)
    if lock is None:
        raise Refused(f"The source of {service.name} is not resolved.", remedy="Resolve it before planning.")
    if service.name in facts.stable and service.name in facts.routes and service.type is ServiceType.WORKER:
        raise Refused(
            f"{service.name} serves on a route and cannot become a worker.", remedy="Give the worker another name."
        )
    release = release_of(service, lock)
    revision = revision_of(specification, service, release)
    stable = facts.stable.get(service.name)
    previous = tuple(e.instance for e in stable.endpoints) if stable else ()
    replicas = service.scaling.replicas
    is_led_astray = not moving.isdisjoint(service.dependencies)
    is_in_place = not is_led_astray and not is_elsewhere(service, facts)
    if stable and stable.revision == revision and len(previous) == replicas and is_in_place:
        kind, instances, is_reused = ChangeKind.UNCHANGED, previous, False
    else:
        kind = ChangeKind.UPDATE if stable else ChangeKind.CREATE
        warm = () if is_led_astray else warm_instances(facts.warm.get(service.name, ()), revision, replicas)
        is_reused = bool(warm)
        instances = warm or tuple(f"{service.name}-{deployment[-8:]}-{n}" for n in range(1, replicas + 1))
    return ServiceChange(
        service=service.name,
        kind=kind,
        version=service.version,
        release=release,
        revision=revision,
        instances=instances,
        previous=() if kind is ChangeKind.UNCHANGED else previous,
        previous_version=stable.version if stable else None,
        reused=is_reused,
        strategy=service.deployment_strategy.kind,
    )


def is_elsewhere(service: ServiceSpecification, facts: Facts) -> bool:
    """Whether the route is not where the specification asks for it: on another public port, or gone."""
    present = facts.routes.get(service.name)
    return service.type is ServiceType.WEB and (present is None or service.port not in (None, present))


def warm_instances(warm: Iterable[RunningRelease], revision: str, replicas: int) -> tuple[str, ...]:
    """The warm instances of this very revision, when there are exactly as many as asked for."""
    for release in warm:
        if release.revision == revision and len(release.endpoints) == replicas:
            return tuple(endpoint.instance for endpoint in release.endpoints)
    return ()


@dataclass
class PlanBuilder:
    """Collects steps; each method is one phase."""

    specification: DeploymentSpecification
    facts: Facts
    deployment: str
    is_rollback: bool

    def __post_init__(self) -> None:
        self.steps: list[Step] = []
        self.by_name = {service.name: service for service in self.specification.services}
        self.last: dict[str, list[str]] = {}
        self.baked: list[str] = []

    def add(
        self, phase: Phase, key: str, action: AnyAction, *, after: Sequence[str] = (), service: str | None = None
    ) -> str:
        """Append a step and return its key."""
        self.steps.append(Step(key, phase, action, tuple(dict.fromkeys(after)), service))
        return key

    def build(self, changes: Sequence[ServiceChange]) -> None:
        """One build per service whose release is not on disk; equal digests are built once by the builder."""
        for change in changes:
            if not change.reused and change.release not in self.facts.built:
                action = BuildRelease(change.service, change.release)
                self.add(Phase.PREPARATION, f"build:{change.service}", action, service=change.service)

    def prepare(self, changes: Sequence[ServiceChange]) -> None:
        """Releases, local resources, routes, configuration."""
        environment = self.specification.target_environment
        self.build(changes)
        made = []
        for need in self.specification.resource_requirements:
            key = resource_key(environment, need.name)
            action = ProvisionResource(need.name, need.kind.value, key, need.name in self.facts.resources)
            made.append(self.add(Phase.PREPARATION, f"resource:{need.name}", action))
        web = [c for c in changes if self.by_name[c.service].type is ServiceType.WEB]
        if web:
            ports = {c.service: self.by_name[c.service].port or 0 for c in web}
            present = {name: self.facts.routes[name] for name in ports if name in self.facts.routes}
            made.append(self.add(Phase.PREPARATION, "routes", DeclareRoutes(ports, present)))
        for change in changes:
            if not change.reused and self.has_configuration(change):
                # By deployment too: equal revisions may find other routes, and each must be able to go alone.
                key = f"{environment}.{change.service}.{change.revision}.{self.deployment[-8:]}"
                rendering = RenderConfiguration(change.service, change.revision, key)
                self.add(
                    Phase.PREPARATION, f"configure:{change.service}", rendering, after=made, service=change.service
                )

    def deploy(
        self,
        changes: Sequence[ServiceChange],
        found_waves: tuple[tuple[str, ...], ...],
        edges: dict[str, list[str]],
    ) -> None:
        """Each service's rollout after those it needs; everything else in parallel."""
        by_service = {change.service: change for change in changes}
        returning = tuple(c.service for c in changes if self.serves(c) and not self.holds(c))
        handle = self.add(Phase.DEPLOYMENT, "handle", ArmHandle(returning)) if returning else None
        for name in (name for wave in found_waves for name in wave):
            earlier = list(dict.fromkeys(key for needed in edges[name] for key in self.last.get(needed, ())))
            waits = [*earlier, handle] if handle else earlier
            change = by_service.get(name)
            # Whoever comes after a service that stays as it is waits for those before it.
            self.last[name] = self.roll_out(change, waits) if change else earlier
            self.verify(name, waits, by_service)
        for change in changes if not self.is_rollback else ():
            if self.checks(change, When.AFTER_TRAFFIC):
                action = RunChecks(change.service, When.AFTER_TRAFFIC, 0)
                key = f"check:{change.service}:after_traffic"
                self.baked.append(self.add(Phase.TESTING, key, action, service=change.service))
        seconds = self.specification.success_criteria.bake.total_seconds()
        if seconds > 0 and not self.is_rollback:
            bake = Bake(tuple(c.service for c in changes), seconds)
            self.baked.append(self.add(Phase.TESTING, "bake", bake, after=list(self.baked)))

    def roll_out(self, change: ServiceChange, waits: Sequence[str]) -> list[str]:
        """The stages of one service's strategy as steps. Returns the keys that others wait for."""
        service = self.by_name[change.service]
        rules = STRATEGIES[service.deployment_strategy.kind]
        old = change.previous if self.serves(change) else ()
        stages = rules.stages(service.deployment_strategy, new=change.instances, old=old)
        if self.is_rollback and not rules.has_hold:
            stages = (merge(stages),)
        before = list(waits)
        if rules.has_hold and change.previous:
            before = self.stop_old(change, service, before)
        for stage in stages:
            attached = self.start_stage(change, stage, before)
            before = self.shift(change, stage, len(stages), attached)
        if rules.has_hold and self.serves(change):
            key = f"release:{change.service}"
            before = [
                self.add(Phase.DEPLOYMENT, key, ReleaseTraffic(change.service), after=before, service=change.service)
            ]
        return before

    def stop_old(self, change: ServiceChange, service: ServiceSpecification, before: list[str]) -> list[str]:
        """Hold the requests, then stop every old instance (recreate)."""
        name = change.service
        strategy = service.deployment_strategy
        if self.serves(change) and strategy.kind == "recreate":
            hold = HoldTraffic(name, strategy.hold.total_seconds())
            before = [self.add(Phase.DEPLOYMENT, f"hold:{name}", hold, after=before, service=name)]
        return [
            self.add(Phase.DEPLOYMENT, f"stop:{old}", StopInstance(name, old), after=before, service=name)
            for old in change.previous
        ]

    def start_stage(self, change: ServiceChange, stage: Stage, before: Sequence[str]) -> list[str]:
        """Start, await, attach the stage's instances; the first stage also asks the checks before traffic."""
        name = change.service
        ready = []
        for instance in stage.instances:
            after = list(before)
            if not change.reused:
                starting = StartInstance(name, instance, change.revision)
                after = [self.add(Phase.DEPLOYMENT, f"start:{instance}", starting, after=after, service=name)]
            after = [
                self.add(
                    Phase.DEPLOYMENT, f"healthy:{instance}", AwaitHealthy(name, instance), after=after, service=name
                )
            ]
            if self.has_route(change):
                attaching = AttachInstance(name, instance)
                after = [self.add(Phase.DEPLOYMENT, f"attach:{instance}", attaching, after=after, service=name)]
            ready += after
        if stage.index == 1 and not self.is_rollback and self.checks(change, When.BEFORE_TRAFFIC):
            action = RunChecks(name, When.BEFORE_TRAFFIC, 0)
            ready = [self.add(Phase.DEPLOYMENT, f"check:{name}:before_traffic", action, after=ready, service=name)]
        return ready

    def shift(self, change: ServiceChange, stage: Stage, stages: int, after: list[str]) -> list[str]:
        """Move the stage's traffic, then ask the checks of the step. Returns the keys that others wait for."""
        name = change.service
        if not self.has_route(change):
            return after
        moving = ShiftTraffic(name, stage.index, stages, dict(stage.weights), stage.pause.total_seconds())
        key = self.add(Phase.DEPLOYMENT, f"shift:{name}:{stage.index}", moving, after=after, service=name)
        if not self.is_rollback and self.checks(change, When.AT_STEP):
            action = RunChecks(name, When.AT_STEP, stage.index)
            key = self.add(Phase.DEPLOYMENT, f"check:{name}:at_step:{stage.index}", action, after=[key], service=name)
        return [key]

    def verify(self, name: str, waits: Sequence[str], changed: Mapping[str, ServiceChange]) -> None:
        """See that dependencies answer where this service asks for them: all of one that changed, else the changed."""
        needed = tuple(
            dependency
            for dependency in self.by_name[name].dependencies
            if (name in changed or dependency in changed) and self.by_name[dependency].type is ServiceType.WEB
        )
        if needed:
            after = self.last[name] if name in changed else waits
            self.add(Phase.DEPLOYMENT, f"verify:{name}", VerifyIntegration(name, needed), after=after, service=name)

    def complete(self, changes: Sequence[ServiceChange]) -> None:
        """The point of no return, then what is left to tidy."""
        phase = Phase.COMPLETION
        stable = self.add(phase, "stable", MarkStable(tuple(c.service for c in changes)))
        web = tuple(c.service for c in changes if self.has_route(c))
        promoted = self.add(phase, "promote", PromoteRoutes(web), after=[stable]) if web else stable
        disarmed = self.add(phase, "disarm", DisarmHandle(), after=[promoted])
        warm = tuple(instance for change in changes for instance in self.tidy(change, disarmed))
        if warm:
            keep = self.specification.rollback_procedures.keep_previous_warm.total_seconds()
            self.add(phase, "warm", KeepWarm(warm, keep), after=[disarmed])
        for need in self.specification.resource_requirements:
            if need.temporary and need.name not in self.facts.resources:  # what was there before may be another's
                key = resource_key(self.specification.target_environment, need.name)
                removal = RemoveTemporary(need.name, need.kind.value, key)
                self.add(phase, f"remove:{need.name}", removal, after=[disarmed])
        self.add(phase, "report", WriteReport(), after=[s.key for s in self.steps if s.phase is phase])

    def tidy(self, change: ServiceChange, disarmed: str) -> tuple[str, ...]:
        """Earlier releases go. Returns those that stay warm: the previous ones, unless recreate has stopped them."""
        name, phase = change.service, Phase.COMPLETION
        keep = self.specification.rollback_procedures.keep_previous_warm.total_seconds()
        gone = [e.instance for r in self.facts.warm.get(name, ()) for e in r.endpoints]
        gone += self.facts.leftovers.get(name, ())
        is_kept = keep > 0 and not self.is_rollback and not self.holds(change) and self.serves(change)
        if not is_kept:
            gone += change.previous
        for instance in gone:
            if instance not in change.instances:
                retiring = RetireInstance(name, instance)
                self.add(phase, f"retire:{instance}", retiring, after=[disarmed], service=name)
        return change.previous if is_kept else ()

    def has_configuration(self, change: ServiceChange) -> bool:
        """Whether there are files to write, or the service asks for the directory of them."""
        service = self.by_name[change.service]
        asked = (*service.run_command, *service.environment_variables.values())
        return bool(configuration_of(self.specification, service).files) or any("{config}" in text for text in asked)

    def has_route(self, change: ServiceChange) -> bool:
        """Whether traffic reaches the service."""
        return self.by_name[change.service].type is ServiceType.WEB

    def serves(self, change: ServiceChange) -> bool:
        """Whether traffic reaches its previous instances; a worker that becomes a web service has none yet."""
        return bool(change.previous) and self.has_route(change) and change.service in self.facts.routes

    def holds(self, change: ServiceChange) -> bool:
        """Whether the strategy stops the old instances first."""
        return STRATEGIES[change.strategy].has_hold

    def checks(self, change: ServiceChange, when: When) -> bool:
        """Whether the service has checks of this moment."""
        return any(check.when is when for check in self.by_name[change.service].checks)


def merge(stages: Sequence[Stage]) -> Stage:
    """All stages as one, for a rollback that has nothing to find out step by step."""
    instances = tuple(instance for stage in stages for instance in stage.instances)
    return Stage(1, instances, stages[-1].weights)
