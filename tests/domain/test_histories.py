"""Random deployments, interleaved, cut, resumed and cut again: each ends with the new world or with the one before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.domain.facts import Facts, RunningRelease
from deployments.domain.plan import ChangeKind, Plan, ready_steps
from deployments.domain.planning import plan_deployment, resource_key
from deployments.domain.ports import Endpoint, SourceLock
from deployments.domain.revisions import release_of, revision_of
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.steps import Phase
from deployments.domain.strategies.decision import even
from deployments.domain.undo import plan_undo, traffic_of
from tests.domain.modelled_world import Effect, ModelledWorld
from tests.domain.specifications import HASHED, facts, service, specification

LOCK = SourceLock("pypi", "d" * 64, (HASHED,))
STRATEGIES = [{"kind": "blue_green"}, {"kind": "rolling", "batch": 1}, {"kind": "rolling", "batch": 2}]
STRATEGIES += [{"kind": "recreate", "hold": "20s"}]
CHECKS = [{"name": when[:2], "when": when, "probe": {"kind": "tcp"}} for when in ("before_traffic", "at_step")]
PRESENT = ["absent", "serving", "serving", "serving", "dead"]
WARM = ["no", "no", "as asked", "other"]


@dataclass
class Case:
    """What is asked, the world before it, and the plan."""

    asked: DeploymentSpecification
    before: ModelledWorld
    plan: Plan
    has_warm: dict[str, tuple[str, ...]]


def drawn_services(random: Random, names: list[str]) -> list[dict[str, Any]]:
    """One to five services that need only earlier ones."""
    found = []
    for index, name in enumerate(names):
        needed = [other for other in names[:index] if random.random() < 0.4]
        fields: dict[str, Any] = {"configuration": {"files": {"a.ini": "{route.a}"}}} if random.random() < 0.4 else {}
        if random.random() < 0.2:
            fields["type"] = "worker"
        elif random.random() < 0.3:
            fields["checks"] = random.sample(CHECKS, random.randint(1, 2))
        strategy = random.choice(STRATEGIES)
        replicas = {"replicas": random.randint(1, 3)}
        found.append(service(name, dependencies=needed, deployment_strategy=strategy, scaling=replicas, **fields))
    random.shuffle(found)
    return found


def drawn_ports(random: Random, services: list[dict[str, Any]], present: dict[str, int]) -> None:
    """Some ask for a port: one of their former ports, their own or another's, or a new one; never two for one."""
    asking = [one for one in services if one.get("type") != "worker" and random.random() < 0.4]
    free = [present[one["name"]] for one in asking if one["name"] in present] + list(range(9100, 9100 + len(asking)))
    for one, port in zip(asking, random.sample(free, len(asking)), strict=True):
        one["port"] = port


def drawn_case(random: Random) -> Case:
    """A specification over a world that was observed."""
    names = ["a", "b", "c", "d", "e"][: random.randint(1, 5)]
    services = drawn_services(random, names)
    state = {name: random.choice(PRESENT) for name in names}
    becomes_web = {name for name in names if random.random() < 0.05}
    routed = [o["name"] for o in services if o.get("type") != "worker" and state[o["name"]] != "absent"]
    ports = {name: 9000 + index for index, name in enumerate(routed) if name not in becomes_web}
    drawn_ports(random, services, ports)
    needs = [
        {"name": f"r{index}", "kind": random.choice(["directory", "database"]), "temporary": random.random() < 0.3}
        for index in range(random.randint(0, 2))
    ]
    keep = {"keep_previous_warm": random.choice(["0s", "10m"])}
    asked = specification(*services, resource_requirements=needs, rollback_procedures=keep)
    world = ModelledWorld(ports=dict(ports), recorded=dict(ports), weights={name: {} for name in ports})
    observed = facts(locks=dict.fromkeys(names, LOCK), routes=dict(ports))
    has_warm: dict[str, tuple[str, ...]] = {}
    for one in asked.services:
        observed = drawn_past(random, asked, one.name, state[one.name], world, observed)
        has_warm[one.name] = tuple(e.instance for r in observed.warm.get(one.name, ()) for e in r.endpoints)
    present = frozenset(str(need["name"]) for need in needs if random.random() < 0.5)
    world.resources = {resource_key("production", name) for name in present} | {"production.others"}
    observed = replace(observed, resources=present)
    plan = plan_deployment(asked, observed, deployment="new", is_rollback=random.random() < 0.2)
    return Case(asked, world, plan, has_warm)


def drawn_past(
    random: Random, asked: DeploymentSpecification, name: str, state: str, world: ModelledWorld, observed: Facts
) -> Facts:
    """What of this service ran before, in the world and as it was observed."""
    release = release_of(asked.service(name), LOCK)
    same = revision_of(asked, asked.service(name), release)
    replicas = asked.service(name).scaling.replicas

    def runs(kind: str, revision: str, count: int) -> RunningRelease:
        endpoints = tuple(Endpoint(f"{name}-{kind}-{n}", 7000 + n, revision) for n in range(count))
        return RunningRelease(name, revision, release, "1.0", "before", endpoints)

    if state == "absent":
        return observed
    count = random.choice([replicas, replicas, 1, 2])
    stable = runs("old", random.choice([same, "other", "other", "other"]), count)
    instances = tuple(e.instance for e in stable.endpoints)
    world.stable[name] = instances
    world.files[f"production.{name}.{stable.revision}"] = "of before"
    if name in world.weights:
        world.weights[name] |= even(instances)
        world.on_disk[name] = instances
    if state == "dead":
        return replace(observed, leftovers={**observed.leftovers, name: instances})
    world.running |= set(instances)
    observed = replace(observed, stable={**observed.stable, name: stable})
    if (kind := random.choice(WARM)) != "no" and name in world.weights:
        warm = runs("warm", same if kind == "as asked" else "other", random.choice([replicas, 2]))
        names = [e.instance for e in warm.endpoints]
        world.running |= set(names)
        world.weights[name] |= dict.fromkeys(names, 0)
        observed = replace(observed, warm={**observed.warm, name: (warm,)})
    return observed


@dataclass
class History:
    """One deployment's life. Controllers come and go; the journal and the world stay."""

    case: Case
    random: Random

    def __post_init__(self) -> None:
        self.world = self.case.before.copy()
        self.journal: dict[str, dict[str, object] | None] = {}
        self.served = [name for name in self.world.weights if self.world.serves(name)]
        self.has_restarted = False

    def look(self) -> None:
        """What holds at every moment. A service that was stopped while its proxy died waits for its way back."""
        stopped = {c.service for c in self.case.plan.changes if c.strategy == "recreate" and self.has_restarted}
        for name in self.served:
            assert self.world.serves(name) or name in stopped, f"{name} is not served"

    def restart_proxy(self) -> None:
        """The proxy dies and is started again, from its file."""
        self.has_restarted = True
        self.world.restart_proxy()

    def go_forward(self, writes: int) -> int:
        """A controller that works on several steps at once, until it has made so many writes. Returns what is left."""
        for phase in Phase:
            steps = self.case.plan.of_phase(phase)
            working: dict[str, Effect] = {}
            while True:
                done = {key for key, receipt in self.journal.items() if receipt is not None}
                ready = [step for step in ready_steps(steps, done, done | set(working)) if len(working) < 4]
                if not ready and not working:
                    break
                if writes <= 0:
                    return 0
                if ready and (not working or self.random.random() < 0.5):
                    step = self.random.choice(ready)
                    self.journal[step.key] = None
                    working[step.key] = self.world.forward(step.action, self.case.plan)
                else:
                    key = self.random.choice(sorted(working))
                    writes -= 1
                    if next(working[key], self) is self:
                        del working[key]
                        self.journal[key] = {}
                self.look()
        return writes

    def live(self) -> None:
        """Forward through controllers that are lost; back when one fails, unless the releases are stable."""
        most, no_end = 2 * len(self.case.plan.steps), 1_000_000
        lives = [self.random.randint(0, most) for _ in range(self.random.randint(1, 3))]
        lives += [no_end] if self.random.random() < 0.15 else []
        for writes in lives:
            self.go_forward(writes)
            if self.world.handle and self.random.random() < 0.2:
                self.world.fire()
                self.look()
                break
        if self.random.random() < 0.2:
            self.restart_proxy()
        if self.world.is_past_return:
            self.go_forward(no_end)
        else:
            self.go_back()

    def go_back(self) -> None:
        """Each step in order; a controller may be lost in any, also after the effect and before the receipt."""
        way_back = plan_undo(self.case.plan, self.journal)
        traffic, armed = len(traffic_of(way_back)), self.world.handle or {}
        for index, step in enumerate(way_back):
            while not self.took_back(self.world.back(step.action)):
                if self.random.random() < 0.1:
                    self.world.fire()
                    self.look()
                if self.random.random() < 0.02:
                    self.restart_proxy()
            if self.world.handle is None and not self.has_restarted:
                assert all(self.weighted(name) == weights for name, weights in armed.items()), "disarmed too early"
            if index + 1 >= traffic:
                self.look_at_returned_traffic()

    def took_back(self, effect: Effect) -> bool:
        """One try at an undo step. False: its controller was lost, and the step is taken again from its beginning."""
        for _ in range(self.random.choice([0, 1, 2, 3, 1000])):
            if next(effect, self) is self:
                return self.random.random() < 0.8
            self.look()
        return False

    def weighted(self, service: str) -> dict[str, int]:
        """Who has traffic now."""
        return {name: weight for name, weight in self.world.weights[service].items() if weight}

    def look_at_returned_traffic(self) -> None:
        """Every service that served has its old weights, on its old port, and no request waits."""
        for name in self.served:
            before = {i: w for i, w in self.case.before.weights[name].items() if w}
            assert self.weighted(name) == before or (self.has_restarted and self.weighted(name).keys() == before.keys())
            assert self.world.ports[name] == self.case.before.ports[name]
        assert not self.world.held
        assert self.world.handle is None


def expected(case: Case) -> ModelledWorld:
    """The world once the deployment is complete."""
    world, plan = case.before.copy(), case.plan
    keep = case.asked.rollback_procedures.keep_previous_warm.total_seconds() > 0 and not plan.is_rollback
    for change in plan.changes:
        if change.kind is ChangeKind.UNCHANGED:
            continue
        name = change.service
        asked = case.asked.service(name)
        had_route = name in case.before.ports
        gone = {*change.previous, *case.has_warm[name], *case.before.stable.get(name, ())} - set(change.instances)
        if keep and had_route and asked.type == "web" and change.strategy != "recreate":
            gone -= set(change.previous)
        world.running = world.running - gone | set(change.instances)
        world.stable[name] = change.instances
        if asked.type == "web":
            kept = dict.fromkeys((i for i in world.weights.get(name, {}) if i not in gone), 0)
            world.weights[name] = kept | even(change.instances)
    for need in case.asked.resource_requirements if not plan.is_empty else ():
        key = resource_key("production", need.name)
        if not need.temporary:
            world.resources.add(key)
    return world


def with_traffic(world: ModelledWorld) -> dict[str, dict[str, int]]:
    """Who has traffic: a restarted proxy gives everybody of its file the same."""
    return {name: {i: 1 for i, weight in weights.items() if weight} for name, weights in world.weights.items()}


@settings(max_examples=600)
@given(st.integers(0, 2**32))
def test_every_history_ends_with_the_new_world_or_with_the_one_before(seed: int) -> None:
    random = Random(seed)
    case = drawn_case(random)
    history = History(case, random)
    history.live()
    world, before = history.world, case.before
    assert world.held == set()
    assert world.handle is None
    wanted = before if not world.is_past_return else expected(case)
    if history.has_restarted:
        world.weights, wanted.weights = with_traffic(world), with_traffic(wanted)
    if not world.is_past_return:
        assert world == before
        return
    assert world.weights == wanted.weights
    assert {name: set(instances) for name, instances in world.on_disk.items()} == {
        name: {instance for instance, weight in weights.items() if weight} for name, weights in wanted.weights.items()
    }
    assert world.running == wanted.running
    assert world.stable == wanted.stable
    assert world.resources == wanted.resources
    assert world.ports == world.recorded
    for one in case.asked.services:
        asked_for = one.port or before.ports.get(one.name)
        assert asked_for is None or world.ports[one.name] == asked_for
    assert before.files.items() <= world.files.items()
