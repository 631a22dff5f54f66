"""The commands of `lua/fairlead.lua`, typed: each checks the fence and acts in one step, or says why it did not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta

from deployments.adapters.haproxy.runtime import CURRENT, Runtime
from deployments.adapters.haproxy.waiting import last_within
from deployments.domain.errors import (
    Broken,
    Conflict,
    DeploymentError,
    DiskFull,
    HandleTripped,
    NotFound,
    ProxyUnavailable,
    Refused,
    StaleFence,
)
from deployments.domain.ports import Endpoint


@dataclass(frozen=True, slots=True)
class Server:
    """One attached instance. `is_up` once a check passed."""

    instance: str
    port: int
    weight: int
    is_up: bool


@dataclass(frozen=True, slots=True)
class Handle:
    """The dead man's handle, and what it returns to."""

    fence: int
    remaining: timedelta
    has_fired: bool
    weights: Mapping[str, Mapping[str, int]]


@dataclass(slots=True)
class Status:
    """What the current worker holds in memory."""

    fence: int = 0
    is_armed: bool = False
    digest: str = ""
    version: int = 0
    handle: Handle | None = None
    holds: dict[str, timedelta] = field(default_factory=dict)
    services: dict[str, dict[str, Server]] = field(default_factory=dict)


DONE = ("OK", "GONE", "CHANGED", "ELSEWHERE")
RELOAD_PATIENCE = timedelta(seconds=20)


class NotUpYet(Exception):
    """The weights would leave only instances that are not up, for now."""


class Control:
    """Sends commands to the current worker and turns refusals into errors."""

    def __init__(self, runtime: Runtime) -> None:
        """Speaks through `runtime`."""
        self._runtime = runtime

    def arm(self, fence: int) -> None:
        """Let writers with this fence or a higher one in."""
        self._command("arm", fence)

    def admit(self, fence: int) -> None:
        """Check the fence before something that HAProxy cannot check itself."""
        self._command("admit", fence)

    @contextmanager
    def judging(self, fence: int) -> Iterator[None]:
        """What a writer finds wrong counts only while it may write: one that was overtaken saw its successor's work.

        Raises StaleFence, or HandleTripped, in place of an error that such a writer makes of it.
        """
        try:
            yield
        except (Refused, Broken, ProxyUnavailable):
            with suppress(ProxyUnavailable):
                self.admit(fence)
            raise

    def set_weights(self, service: str, weights: Mapping[str, int], *, fence: int) -> None:
        """Raises NotUpYet, besides the refusals of a writer."""
        self._command("weights", fence, service, _weights(weights))

    def install_lasting(self, *, fence: int) -> None:
        """Put the writer's draft of the lasting configuration in place."""
        self._command("install", fence, "lasting")

    def install_for_reload(self, version: int, *, fence: int) -> bool:
        """Put the drafts for a reload in place; False when the status they were made from is no longer true."""
        return self._command("install", fence, "reload", str(version)) != "CHANGED"

    def enable(self, service: str, endpoint: Endpoint, *, fence: int) -> bool:
        """Check a server that was added, and aim the preview route at it; False when its name listens elsewhere."""
        return self._command("enable", fence, service, endpoint.instance, str(endpoint.port)) != "ELSEWHERE"

    def vouch(self, service: str, instance: str, *, fence: int) -> None:
        """Say that an instance accepts connections, before HAProxy's own first check."""
        self._command("vouch", fence, service, instance)

    def quiesce(self, service: str, instance: str, *, fence: int) -> bool:
        """Take a server without weight into maintenance; False when it is not there."""
        return self._command("quiesce", fence, service, instance) != "GONE"

    def cut(self, service: str, instance: str, *, worker: str, fence: int) -> None:
        """End what is open to an instance, in one worker; a worker that ended has nothing open."""
        self._command("cut", fence, service, instance, worker=worker)

    def hold(self, service: str, up_to: timedelta, *, fence: int) -> None:
        """Let new requests wait."""
        self._command("hold", fence, service, _milliseconds(up_to))

    def unhold(self, service: str, *, fence: int) -> None:
        """Let waiting requests go on."""
        self._command("unhold", fence, service)

    def arm_handle(self, weights: Mapping[str, Mapping[str, int]], time_to_live: timedelta, *, fence: int) -> None:
        """Stage the weights to return to, service by service, then put them in force at once."""
        for position, (service, by_instance) in enumerate(weights.items(), start=1):
            self._command("stage", fence, str(position), service, _weights(by_instance))
        self._command("rearm", fence, _milliseconds(time_to_live), str(len(weights)))

    def renew_handle(self, time_to_live: timedelta, *, fence: int) -> None:
        """Start the time to live again."""
        self._command("renew", fence, _milliseconds(time_to_live))

    def disarm_handle(self, *, fence: int) -> None:
        """Disarm and forget that it fired."""
        self._command("disarm", fence)

    def retire_old_workers(self) -> None:
        """Make workers that a reload replaced send what still reaches them to the current one."""
        for worker in self._runtime.processes().old_workers:
            self._runtime.ask("fairlead retire", worker=worker)

    def status(self) -> Status:
        """What the current worker holds. Raises ProxyUnavailable."""
        answer = self._runtime.ask_again("fairlead status")
        if not answer.startswith("fence "):
            raise ProxyUnavailable(f"The proxy answered {answer.strip()!r} instead of its status.")
        return _read_status(answer)

    def _command(self, name: str, fence: int, *words: str, worker: str = CURRENT) -> str:
        """One command, asked again while a reload is under way: it is done by the worker that comes of it, or not.

        A master that starts over cuts questions off; all but `install` may be done twice.
        """
        command = " ".join(("fairlead", name, str(fence), *words))
        ask = self._runtime.ask if name == "install" else self._runtime.ask_again
        answer = last_within(
            lambda: ask(command, worker=worker).strip(), lambda text: text != "RELOADING", RELOAD_PATIENCE
        )
        reason, _, detail = answer.partition(" ")
        if reason in DONE or (worker != CURRENT and reason not in ("STALE", "TRIPPED")):
            return reason
        if reason == "DOWN":
            raise NotUpYet
        raise _refusal(reason, detail, fence, words[0] if words else "")


def _refusal(reason: str, detail: str, fence: int, service: str) -> DeploymentError:  # noqa: C901 - a table of answers
    match reason:
        case "STALE":
            return StaleFence(f"Fence {fence} is older than {detail}.", fence=fence, highest=int(detail))
        case "TRIPPED":
            return HandleTripped(remedy="Look at the weights, take a new fence, then disarm the handle.")
        case "DISARMED":
            return Conflict("The handle is not armed.", remedy="Look at the weights, then arm it.")
        case "UNKNOWN":
            return NotFound(f"Instance {detail} is not attached.", remedy="Attach it first.", instance=detail)
        case "NOROUTE":
            return NotFound("There is no route for this service.", remedy="Add it with ensure_routes first.")
        case "EMPTY":
            return no_instance_left(service)
        case "WEIGHTED":
            return Refused(f"An instance of {service} carries weight.", remedy="Set its weight to 0 first.")
        case "RETURNS":
            return Refused(
                f"The armed handle returns to this instance of {service}.", remedy="Disarm the handle first."
            )
        case "DISK":
            return DiskFull("The proxy could not write its files.", remedy="Free some space.")
        case "RELOADING":
            return ProxyUnavailable("The proxy has been loading new routes for too long.", remedy="Try again.")
        case "UNSTAGED":
            return Conflict("Something else changed the handle meanwhile.", remedy="Look at it, then try again.")
        case "UNARMED":
            return ProxyUnavailable("The proxy restarted and is not armed.", remedy="Call ensure_running first.")
    return ProxyUnavailable(f"The proxy answered {reason} {detail}".strip() + ".", fence=fence)


def no_instance_left(service: str) -> Broken:
    """The refusal of weights that would stop the service from answering."""
    return Broken(
        f"These weights would leave {service} with no instance that is up.",
        remedy="Give weight to an instance that is up, or hold the service first.",
        service=service,
    )


def _weights(weights: Mapping[str, int]) -> str:
    return ",".join(f"{instance}={weight}" for instance, weight in weights.items()) or "-"


def _milliseconds(duration: timedelta) -> str:
    return str(max(0, round(duration.total_seconds() * 1000)))


def _read_status(answer: str) -> Status:
    status = Status()
    returns: dict[str, dict[str, int]] = {}
    for line in answer.splitlines():
        match line.split():
            case ["fence", fence]:
                status.fence = int(fence)
            case ["armed", flag]:
                status.is_armed = flag == "1"
            case ["routes", digest, version]:
                status.digest, status.version = digest, int(version)
            case ["handle", fence, left, fired]:
                remaining = timedelta(milliseconds=int(left))
                status.handle = Handle(int(fence), remaining, has_fired=fired == "1", weights=returns)
            case ["handle-weights", service, *weights]:
                returns[service] = _read_weights(weights[0] if weights else "")
            case ["hold", service, milliseconds]:
                status.holds[service] = timedelta(milliseconds=int(milliseconds))
            case ["service", service]:
                status.services[service] = {}
            case ["server", service, instance, port, weight, up]:
                server = Server(instance, int(port), int(weight), is_up=up == "1")
                status.services.setdefault(service, {})[instance] = server
    return status


def _read_weights(text: str) -> dict[str, int]:
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    return {instance: int(weight) for instance, _, weight in pairs}
