"""Looks at everything after a row, and names what is wrong."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deployments.adapters.haproxy.runtime import SERVERS, Runtime
from deployments.domain.entities import Deployment, InstanceLife
from deployments.domain.events import DeploymentEvent, DeploymentEventKind
from deployments.domain.ports import InstanceState
from deployments.domain.status import DeploymentStatus, check_transition
from tests.faults.kinds import SERVICES
from tests.faults.lane import Lane
from tests.load import LoadReport

S = DeploymentStatus
BACK = (S.ROLLED_BACK, S.FAILED, S.CANCELLED, S.TIMED_OUT)
ASKED_TIMES = 6


@dataclass(frozen=True, slots=True)
class Seen:
    """One environment from outside: what must be the same again after everything came back."""

    serving: Mapping[str, frozenset[str]]
    stable: Mapping[str, frozenset[str]]
    releases: Mapping[str, frozenset[str]]
    routes: Mapping[str, int]
    running: frozenset[str]
    ports: frozenset[str]
    files: frozenset[str]
    resources: frozenset[str]


def look(lane: Lane, environment: str) -> Seen:
    """See it."""
    world = lane.world
    proxy, records = world.proxy(environment), world.records
    routes = {route.service: route.port for route in proxy.routes()}
    stable = records.stables.current(environment)
    home = lane.settings.home
    return Seen(
        serving={name: frozenset(b.endpoint.instance for b in proxy.backends(name) if b.weight) for name in routes},
        stable={name: frozenset(e.instance for e in release.endpoints) for name, release in stable.items()},
        releases={name: answered(port) for name, port in routes.items()},
        routes=routes,
        running=frozenset(
            r.instance for r in lane.supervisor.observe_all(environment) if r.state is not InstanceState.EXITED
        ),
        ports=frozenset(key for key in reserved(home) if belongs(key, environment)),
        files=frozenset(path.name for path in children(home / "configuration") if belongs(path.name, environment)),
        resources=frozenset(path.name for path in children(home / "resources") if belongs(path.name, environment)),
    )


def belongs(name: str, environment: str) -> bool:
    """Whether a key is of an environment; those of instances carry no environment and are compared by instance."""
    return name.startswith(f"{environment}.")


def reserved(home: Path) -> list[str]:
    """Keys of reserved ports."""
    book = home / "ports.json"
    return list(json.loads(book.read_text())) if book.exists() else []


def children(directory: Path) -> list[Path]:
    """What is in it."""
    return list(directory.iterdir()) if directory.is_dir() else []


def answered(port: int) -> frozenset[str]:
    """The releases that answer on a public port, by name."""
    found = set()
    for _ in range(ASKED_TIMES):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", "/health")
            answer = connection.getresponse()
            found.add(answer.getheader("x-release") or f"status {answer.status}")
        except OSError as error:
            found.add(type(error).__name__)
        finally:
            connection.close()
    return frozenset(found)


def judge(lane: Lane, environment: str, before: Seen, record: Deployment | None, version: str) -> Iterator[str]:
    """Everything that is wrong. `record` is None when the controller died before it opened one."""
    after = look(lane, environment)
    if record is not None and not record.is_final:
        yield f"the deployment is {record.status}"
        return
    is_complete = record is not None and record.status is S.COMPLETED
    if record is not None and not is_complete and record.status not in BACK:
        yield f"the deployment ended {record.status}: {record.message}"
    if is_complete:
        yield from judge_complete(after, version)
    elif after != before:
        for name in Seen.__slots__:
            was, now = getattr(before, name), getattr(after, name)
            if was != now:
                yield f"{name} was {words(was)}, and is {words(now)}"
    yield from judge_leftovers(lane, environment, after)
    if record is not None:
        yield from judge_records(lane, record)


def words(value: object) -> str:
    """A value in a short text."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {words(one)}" for name, one in sorted(value.items())) + "}"
    if isinstance(value, frozenset):
        return "[" + ", ".join(sorted(map(str, value))) + "]"
    return str(value)


def judge_complete(after: Seen, version: str) -> Iterator[str]:
    """The new release serves everywhere, and is what the record calls stable."""
    for name in SERVICES:
        if after.releases.get(name) != frozenset({version}):
            yield f"{name} is answered by {words(after.releases.get(name))} and not by {version}"
    if after.serving != after.stable:
        yield f"stable is {words(after.stable)}, and {words(after.serving)} serve"


def judge_leftovers(lane: Lane, environment: str, after: Seen) -> Iterator[str]:
    """No process, port, route, hold, handle or lease that nobody owns."""
    records = lane.world.records
    known = records.instances.of_environment(environment)
    alive = {i.id for i in known if i.state in (InstanceLife.SERVING, InstanceLife.WARM)}
    if odd := sorted(i.id for i in known if i.id not in alive):
        yield f"instances on record are neither serving nor warm: {odd}"
    if after.running != alive:
        yield f"{words(after.running)} run, and {sorted(alive)} are on record"
    processes = marked_processes(environment, lane.settings.home)
    if sorted(processes) != sorted(alive):
        yield f"processes of {sorted(processes)} live, and {sorted(alive)} are on record"
    mine = {i.id for i in records.instances.of_environment(environment, with_retired=True)}
    if orphaned := sorted((mine & set(reserved(lane.settings.home))) - alive):
        yield f"ports are reserved for {orphaned}"
    if orphaned := sorted(building(lane.settings.home)):
        yield f"builds still run: {orphaned}"
    if holder := held_for_good(lane, environment):
        yield f"the lease is held by {holder}"
    if after.routes:
        yield from judge_proxy(lane, environment, after, alive)


def held_for_good(lane: Lane, environment: str) -> str | None:
    """Who holds the lease longer than a dead process can."""
    deadline = time.monotonic() + lane.settings.timings.lease.total_seconds() + 1
    while (holder := lane.world.records.leases.holder(environment)) is not None:
        if time.monotonic() > deadline:
            return holder.owner
        time.sleep(0.1)
    return None


def judge_proxy(lane: Lane, environment: str, after: Seen, alive: set[str]) -> Iterator[str]:
    """The proxy knows who runs, holds nobody, and has no handle."""
    proxy = lane.world.proxy(environment)
    handle = proxy.handle()
    if handle.is_armed or handle.has_fired:
        yield f"the handle is {'armed' if handle.is_armed else 'fired'}"
    attached = {b.endpoint.instance for name in after.routes for b in proxy.backends(name)}
    if stray := sorted(attached - alive):
        yield f"the proxy still knows {stray}"
    rows = Runtime(lane.settings.run_directory / f"{environment}.proxy").statistics(SERVERS)
    servers = {row["svname"] for row in rows if not row["svname"].startswith("_") and row["pxname"] in after.routes}
    if stray := sorted(servers - attached):
        yield f"the proxy keeps servers that nobody attached: {stray}"
    if held := sorted(name for name in after.routes if is_held(lane, environment, name)):
        yield f"requests are held for {held}"


def is_held(lane: Lane, environment: str, service: str) -> bool:
    """Whether HAProxy holds requests of the service."""
    status = Runtime(lane.settings.run_directory / f"{environment}.proxy").ask("fairlead status")
    return any(line.startswith(f"hold {service} ") for line in status.splitlines())


def marked_processes(environment: str, home: Path) -> list[str]:
    """Instances by the marks in the environment of every process of this lane."""
    wanted = {f"FAIRLEAD_ENVIRONMENT={environment}".encode(), f"FAIRLEAD_SUPERVISOR={home / 'data-plane'}".encode()}
    return [values[b"FAIRLEAD_INSTANCE"].decode() for values in environments() if wanted <= pairs(values)]


def building(home: Path) -> list[str]:
    """Builds of this lane that still have a process."""
    marks = (values.get(b"FAIRLEAD_BUILD", b"").decode() for values in environments())
    return [mark for mark in marks if mark.startswith(str(home))]


def pairs(values: Mapping[bytes, bytes]) -> set[bytes]:
    """As they are in a process's environment."""
    return {name + b"=" + value for name, value in values.items()}


def environments() -> Iterator[dict[bytes, bytes]]:
    """Of every process that lives."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "environ").read_bytes()
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if text and state not in "ZX":
            yield dict(part.split(b"=", 1) for part in text.split(b"\0") if b"=" in part)


def judge_records(lane: Lane, record: Deployment) -> Iterator[str]:
    """The events tell the same story as the row and the journal."""
    events = lane.world.records.events.timeline(deployment=record.id)
    told = [event for event in events if isinstance(event, DeploymentEvent)]
    try:
        status = replay(told)
    except Exception as error:  # noqa: BLE001 - whatever makes the story impossible is what is told
        yield f"the events tell an impossible story: {error}"
        return
    if status is not record.status:
        yield f"the events end in {status}, the record in {record.status}"
    done = {e.key: e.is_done for e in lane.world.records.journal.entries(record.id)}
    intended = {e.step for e in told if e.kind in INTENDED}
    proven = [e.step for e in told if e.kind in PROVEN]
    if set(done) != intended:
        yield f"journal and events differ in what was intended: {sorted(set(done) ^ {str(i) for i in intended})}"
    if sorted(map(str, proven)) != sorted(key for key, is_done in done.items() if is_done):
        yield "journal and events differ in what was done"


K = DeploymentEventKind
INTENDED = (K.STEP_INTENDED, K.STEP_UNDO_INTENDED)
PROVEN = (K.STEP_DONE, K.STEP_UNDONE)


def replay(told: list[DeploymentEvent]) -> DeploymentStatus:
    """The state that the events lead to, by legal moves only."""
    status = S.PENDING
    for event in told:
        target = event.data.get("to")
        if target is not None and S(str(target)) is not status:
            check_transition(status, S(str(target)))
            status = S(str(target))
    return status


def dropped(reports: Mapping[str, LoadReport], bad: str | None) -> list[str]:
    """Requests that failed and that a bad release did not cause."""
    return [
        f"{name}: {failure.kind} {failure.detail}"
        for name, report in reports.items()
        for failure in report.failures
        if bad is None or failure.release != bad
    ]
