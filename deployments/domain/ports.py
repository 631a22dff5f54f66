"""The outside as the driver sees it: narrow interfaces that write and read back.

Adapters implement these; fakes in tests implement them too, and one contract suite holds both to the same promises.
Every method is safe to call twice. Methods that change something take the writer's `fence`; one lower than the highest
ever seen by the receiver is refused with `StaleFence`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One instance as the proxy sees it."""

    instance: str
    port: int
    revision: str


@dataclass(frozen=True, slots=True)
class RouteDeclaration:
    """A service's public and preview address on 127.0.0.1, and what a bare restart of the proxy serves."""

    service: str
    port: int
    preview_port: int
    stable: tuple[Endpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class BackendState:
    """What the proxy reports for one attached instance. `weight` 0..256; `sessions` counts requests in flight."""

    endpoint: Endpoint
    weight: int
    sessions: int
    is_up: bool


@dataclass(frozen=True, slots=True)
class HandleState:
    """The dead man's handle: `fence` it was armed with, seconds left, and whether it fired (latched)."""

    is_armed: bool
    has_fired: bool
    fence: int
    remaining: timedelta


class Proxy(Protocol):
    """The data plane's proxy of ONE environment."""

    def ensure_running(self, *, fence: int) -> None:
        """Start it if needed (from the file on disk: the stable releases at full weight) and arm it with `fence`.

        The new fence is max(seen, fence); a lower one raises StaleFence.
        """

    def highest_fence(self) -> int:
        """The highest fence ever seen, from disk if the proxy is not running; 0 for a new environment."""

    def routes(self) -> Sequence[RouteDeclaration]:
        """The routes declared on disk."""

    def ensure_routes(self, routes: Sequence[RouteDeclaration], *, fence: int) -> None:
        """Add the named routes in one reload without dropping a request; routes not named stay as they are."""

    def remove_routes(self, services: Sequence[str], *, fence: int) -> None:
        """Take routes away (undo of a first deployment)."""

    def attach(self, service: str, endpoint: Endpoint, *, fence: int) -> None:
        """Make an instance known with weight 0; the preview route reaches the newest attached revision."""

    def detach(self, service: str, instance: str, *, fence: int) -> None:
        """Forget an instance (weight must be 0); sessions still open are cut. Unknown instances are fine."""

    def backends(self, service: str) -> Sequence[BackendState]:
        """What is attached now, weights and open sessions as the proxy reports them."""

    def set_weights(self, service: str, weights: Mapping[str, int], *, fence: int) -> None:
        """Set weights by instance, raising first, lowering after (make before break).

        Attached instances that are not named get weight 0. Raises Broken when it would leave no instance with weight
        while there was one before.
        """

    def hold(self, service: str, up_to: timedelta, *, fence: int) -> None:
        """Keep new requests waiting inside the proxy for at most `up_to` each; after that they get 503."""

    def unhold(self, service: str, *, fence: int) -> None:
        """Let held requests go on to the instances with weight."""

    def held(self) -> frozenset[str]:
        """The services whose new requests wait."""

    def arm_handle(self, weights: Mapping[str, Mapping[str, int]], time_to_live: timedelta, *, fence: int) -> None:
        """Arm, or arm anew: after `time_to_live` without renewal the proxy sets these weights itself."""

    def renew_handle(self, time_to_live: timedelta, *, fence: int) -> None:
        """Start the time to live again. Raises HandleTripped when it fired."""

    def disarm_handle(self, *, fence: int) -> None:
        """Disarm; clears the latch. Nothing happens when it is not armed."""

    def handle(self) -> HandleState:
        """Observe the handle."""

    def promote(self, stable: Mapping[str, Sequence[Endpoint]], *, fence: int) -> None:
        """Write the file so that a bare restart serves these instances, by service, at full weight. No reload."""

    def stop(self) -> None:
        """Stop the proxy (only `destroy` does)."""


@dataclass(frozen=True, slots=True)
class Program:
    """One instance to run. `environment` is complete: nothing is inherited."""

    instance: str
    project_environment: str
    service: str
    revision: str
    command: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str]
    port: int | None
    log: Path
    memory_mb: int | None = None
    cpu: float | None = None
    open_files: int | None = None


class InstanceState(StrEnum):
    """What is known of one instance's process."""

    STARTING = "starting"
    RUNNING = "running"
    EXITED = "exited"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class InstanceReport:
    """An instance as observed. `pid` and `started` identify the process; `exit_code` when it ended by itself."""

    instance: str
    state: InstanceState
    pid: int | None = None
    port: int | None = None
    exit_code: int | None = None
    restarts: int = 0
    project_environment: str = ""
    service: str = ""
    revision: str = ""


class Supervisor(Protocol):
    """The data plane's supervisor of processes; found again after it was killed."""

    def ensure_running(self) -> None:
        """Start the supervisor when it is not there; survivors of a killed one are found and kept in the books."""

    def admit(self, project_environment: str, *, fence: int) -> None:
        """From here on refuse whoever has a lower fence in this environment. Raises StaleFence."""

    def ensure_started(self, program: Program, *, fence: int) -> InstanceReport:
        """Start it unless an instance of this name runs already; then report that one."""

    def ensure_stopped(self, instance: str, *, grace: timedelta, fence: int) -> None:
        """SIGTERM, wait up to `grace`, SIGKILL, forget. An unknown instance is fine."""

    def observe(self, instance: str) -> InstanceReport:
        """What is known of it; state UNKNOWN for one never seen or forgotten."""

    def observe_all(self, project_environment: str) -> Sequence[InstanceReport]:
        """Every instance of one environment that has not been stopped."""

    def highest_fence(self, project_environment: str) -> int:
        """The highest fence ever seen for the environment, from disk; 0 for a new one, or when it cannot be read."""


@dataclass(frozen=True, slots=True)
class SourceLock:
    """A source resolved to content: `digest` is sha256 over it; `entries` are requirement lines or file hashes."""

    kind: str
    digest: str
    entries: tuple[str, ...] = ()
    reference: str = ""


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """Everything a release depends on. `digest` covers all of it and names the release."""

    service: str
    digest: str
    lock: SourceLock
    source: Mapping[str, str]
    framework: str
    install_command: tuple[str, ...] = ()
    build_command: tuple[str, ...] = ()
    output_directory: str | None = None
    timeout: timedelta = timedelta(minutes=10)
    deployment: str = ""
    """Whose step it is: the commands that are run carry it, for whoever takes the deployment over."""


@dataclass(frozen=True, slots=True)
class BuiltRelease:
    """A release on disk: `path` is the run directory, `bin` holds its programs (None without a virtual environment)."""

    digest: str
    path: Path
    bin: Path | None
    size_bytes: int


class Builder(Protocol):
    """Resolves sources and builds releases, content-addressed."""

    def resolve(self, source: Mapping[str, str], *, base: Path) -> SourceLock:
        """Resolve to a lock. Raises SourceUnavailable, or Refused when the source does not exist or does not match."""

    def ensure_built(self, request: BuildRequest) -> BuiltRelease:
        """Build once in an isolated directory, complete or not there. Raises BuildFailed with the log's tail."""

    def find(self, digest: str) -> BuiltRelease | None:
        """The release when it is complete on disk."""


@dataclass(frozen=True, slots=True)
class ResourceRequest:
    """A local resource: `kind` is directory, port or database; `key` names it across deployments."""

    key: str
    kind: str
    name: str
    project_environment: str
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProvisionedResource:
    """What was made, or was there already. `values` are what a service needs to use it (path, port, url)."""

    key: str
    kind: str
    values: Mapping[str, str]
    was_created: bool


class Provisioner(Protocol):
    """Makes and removes local resources."""

    def ensure(self, request: ResourceRequest) -> ProvisionedResource:
        """Make it unless it is there."""

    def find(self, request: ResourceRequest) -> ProvisionedResource | None:
        """Look without making."""

    def remove(self, request: ResourceRequest) -> None:
        """Remove it; one that is not there is fine."""

    def free_port(self, key: str) -> int:
        """A port nobody listens on, reserved for `key` (the same key gets the same port while it is free)."""

    def release_port(self, key: str) -> None:
        """Give the port back."""

    def write_configuration(self, key: str, files: Mapping[str, str]) -> Path:
        """Write files into a directory named by `key`, atomically; return the directory."""

    def remove_configuration(self, key: str) -> None:
        """Remove such a directory."""


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """One look at one address. `kind` is http, tcp or command."""

    kind: str
    port: int | None = None
    path: str = "/"
    method: str = "GET"
    expect_status: tuple[int, ...] = (200,)
    expect_text: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout: timedelta = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class ProbeOutcome:
    """`is_good`, or what was seen instead. `was_measured` is False when the question could not be asked."""

    is_good: bool
    detail: str
    latency: timedelta
    was_measured: bool = True


class Prober(Protocol):
    """Asks health checks and checks."""

    def probe(self, request: ProbeRequest) -> ProbeOutcome:
        """Ask once; never raises for an answer that is bad."""


@dataclass(frozen=True, slots=True)
class MeterReading:
    """Requests of one revision in a span. Latencies in milliseconds; percentiles by bucket upper bound."""

    service: str
    revision: str
    requests: int
    errors: int
    statuses: Mapping[int, int]
    latency_ms: Mapping[str, float]
    """Keys p50, p90, p95, p99, max."""


@dataclass(frozen=True, slots=True)
class MeterReport:
    """Readings since a moment, and how many requests the meter knows it missed."""

    readings: tuple[MeterReading, ...]
    lost: int
    is_running: bool


class Meter(Protocol):
    """Counts requests per service and revision from the proxy; outlives controllers."""

    def read(self, *, since: datetime) -> MeterReport:
        """What was counted since (one-second precision)."""


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What the machine offers now."""

    cpus: int
    memory_total_mb: int
    memory_available_mb: int
    disk_free_mb: int
    can_limit_memory: bool
    can_limit_cpu: bool


STEP_VARIABLE = "FAIRLEAD_DEPLOYMENT"
"""In the environment of every process that a step starts and waits for: the deployment's id."""


class Machine(Protocol):
    """Looks at the machine, and at what steps have left running on it."""

    def observe(self) -> MachineFacts:
        """Look once."""

    def end_step_processes(self, deployment: str) -> int:
        """SIGKILL to every process that steps of this deployment started and waited for; how many there were."""
