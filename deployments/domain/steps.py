"""The steps of a plan: each one intended effect, with how it is undone and how it is looked at when in doubt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from deployments.domain.spec.checks import When


class Phase(StrEnum):
    """The five parts of a deployment, in order."""

    VALIDATION = "validation"
    PREPARATION = "preparation"
    DEPLOYMENT = "deployment"
    TESTING = "testing"
    COMPLETION = "completion"


class Action:
    """One intended effect. `undo` and `probe` are shown by `plan`; empty undo: nothing to take back."""

    __slots__ = ()
    undo: ClassVar[str] = ""
    probe: ClassVar[str] = ""


@dataclass(frozen=True, slots=True)
class BuildRelease(Action):
    """Build a release once; its digest names it."""

    service: str
    release: str
    kind: Literal["build_release"] = "build_release"
    undo: ClassVar[str] = ""
    probe: ClassVar[str] = "look for the complete release on disk"


@dataclass(frozen=True, slots=True)
class ProvisionResource(Action):
    """Make a local resource unless it is there."""

    name: str
    resource: str
    """Its kind: directory, port or database."""
    key: str
    existed: bool = False
    """Observed before this deployment: an undo leaves it alone."""
    kind: Literal["provision_resource"] = "provision_resource"
    undo: ClassVar[str] = "remove it if this deployment made it"
    probe: ClassVar[str] = "look for it"


@dataclass(frozen=True, slots=True)
class DeclareRoutes(Action):
    """Give services their public and preview address, all in one reload. `ports`: asked for, or 0 to choose."""

    ports: Mapping[str, int]
    before: Mapping[str, int] | None = None
    """Public ports observed when the plan was made, of those services that had a route; the others' routes are new.
    None: the plan was made before this was kept."""
    kind: Literal["declare_routes"] = "declare_routes"
    undo: ClassVar[str] = "remove the routes that were new, and give moved ones their port back"
    probe: ClassVar[str] = "read the proxy's routes"


@dataclass(frozen=True, slots=True)
class RenderConfiguration(Action):
    """Write the service's configuration files, under a name that no other deployment has."""

    service: str
    revision: str
    key: str
    kind: Literal["render_configuration"] = "render_configuration"
    undo: ClassVar[str] = "remove the files"
    probe: ClassVar[str] = "write the same files again"


@dataclass(frozen=True, slots=True)
class HoldTraffic(Action):
    """Keep requests waiting in the proxy while the service is away."""

    service: str
    seconds: float
    kind: Literal["hold_traffic"] = "hold_traffic"
    undo: ClassVar[str] = "let them go on"
    probe: ClassVar[str] = "hold again: setting it twice is the same"


@dataclass(frozen=True, slots=True)
class StopInstance(Action):
    """Stop an instance of the old release so that the new one can start (recreate)."""

    service: str
    instance: str
    kind: Literal["stop_instance"] = "stop_instance"
    undo: ClassVar[str] = "start it again from its recorded program"
    probe: ClassVar[str] = "ask the supervisor"


@dataclass(frozen=True, slots=True)
class StartInstance(Action):
    """Start one instance of the new release on a port of its own."""

    service: str
    instance: str
    revision: str
    kind: Literal["start_instance"] = "start_instance"
    undo: ClassVar[str] = "stop it"
    probe: ClassVar[str] = "ask the supervisor"


@dataclass(frozen=True, slots=True)
class AwaitHealthy(Action):
    """Ask an instance's health checks until they hold, or its deadline passes."""

    service: str
    instance: str
    kind: Literal["await_healthy"] = "await_healthy"
    probe: ClassVar[str] = "ask again"


@dataclass(frozen=True, slots=True)
class AttachInstance(Action):
    """Make a healthy instance known to the proxy, without traffic."""

    service: str
    instance: str
    kind: Literal["attach_instance"] = "attach_instance"
    undo: ClassVar[str] = "detach it"
    probe: ClassVar[str] = "read the proxy's backends"


@dataclass(frozen=True, slots=True)
class RunChecks(Action):
    """Ask a release's checks of one moment."""

    service: str
    when: When
    stage: int
    kind: Literal["run_checks"] = "run_checks"
    probe: ClassVar[str] = "ask again"


@dataclass(frozen=True, slots=True)
class VerifyIntegration(Action):
    """See that a service's dependencies answer on the routes it uses."""

    service: str
    dependencies: tuple[str, ...]
    kind: Literal["verify_integration"] = "verify_integration"
    probe: ClassVar[str] = "ask again"


@dataclass(frozen=True, slots=True)
class ArmHandle(Action):
    """Arm the dead man's handle with the weights to return to, before the first weight moves."""

    services: tuple[str, ...]
    kind: Literal["arm_handle"] = "arm_handle"
    undo: ClassVar[str] = "disarm it, after traffic is back"
    probe: ClassVar[str] = "read the handle"


@dataclass(frozen=True, slots=True)
class ShiftTraffic(Action):
    """Set the weights of a service's instances; `weights` by instance, 0..256, all of them named."""

    service: str
    stage: int
    stages: int
    weights: Mapping[str, int]
    pause_seconds: float = 0.0
    kind: Literal["shift_traffic"] = "shift_traffic"
    undo: ClassVar[str] = "return all traffic to the stable release"
    probe: ClassVar[str] = "read the weights"


@dataclass(frozen=True, slots=True)
class ReleaseTraffic(Action):
    """Let held requests go on to the new release."""

    service: str
    kind: Literal["release_traffic"] = "release_traffic"
    probe: ClassVar[str] = "let go again: doing it twice is the same"


@dataclass(frozen=True, slots=True)
class Bake(Action):
    """Judge the success criteria on the public routes, and see every new instance alive, with the old release warm."""

    services: tuple[str, ...]
    seconds: float
    kind: Literal["bake"] = "bake"
    probe: ClassVar[str] = "bake again"


@dataclass(frozen=True, slots=True)
class MarkStable(Action):
    """Record the new releases as stable: the point of no return."""

    services: tuple[str, ...]
    kind: Literal["mark_stable"] = "mark_stable"
    probe: ClassVar[str] = "read the record"


@dataclass(frozen=True, slots=True)
class PromoteRoutes(Action):
    """Make a bare restart of the proxy serve the new releases."""

    services: tuple[str, ...]
    kind: Literal["promote_routes"] = "promote_routes"
    probe: ClassVar[str] = "write the file again"


@dataclass(frozen=True, slots=True)
class DisarmHandle(Action):
    """Take the dead man's handle away: the new release is stable."""

    kind: Literal["disarm_handle"] = "disarm_handle"
    probe: ClassVar[str] = "read the handle"


@dataclass(frozen=True, slots=True)
class KeepWarm(Action):
    """Leave the previous instances running without traffic for a while; the reconciler retires them."""

    instances: tuple[str, ...]
    seconds: float
    kind: Literal["keep_warm"] = "keep_warm"
    probe: ClassVar[str] = "read the record"


@dataclass(frozen=True, slots=True)
class RetireInstance(Action):
    """Drain to a deadline, stop, forget."""

    service: str
    instance: str
    kind: Literal["retire_instance"] = "retire_instance"
    probe: ClassVar[str] = "retire again: what is gone stays gone"


@dataclass(frozen=True, slots=True)
class RemoveTemporary(Action):
    """Remove a resource that was only needed during the deployment."""

    name: str
    resource: str
    key: str
    kind: Literal["remove_temporary"] = "remove_temporary"
    probe: ClassVar[str] = "look for it"


@dataclass(frozen=True, slots=True)
class WriteReport(Action):
    """Write the report with everything in it."""

    kind: Literal["write_report"] = "write_report"
    probe: ClassVar[str] = "write it again"


AnyAction = Annotated[
    BuildRelease | ProvisionResource | DeclareRoutes | RenderConfiguration
    | HoldTraffic | StopInstance | StartInstance | AwaitHealthy | AttachInstance | RunChecks | VerifyIntegration
    | ArmHandle | ShiftTraffic | ReleaseTraffic
    | Bake
    | MarkStable | PromoteRoutes | DisarmHandle | KeepWarm | RetireInstance | RemoveTemporary | WriteReport,
    Field(discriminator="kind"),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """An action in its place: `key` is unique in the plan, `after` names the steps that come first."""

    key: str
    phase: Phase
    action: AnyAction
    after: tuple[str, ...] = ()
    service: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that a step happened, and what undo needs."""

    step: str
    values: Mapping[str, object]
