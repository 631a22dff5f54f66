"""A stage for driver tests: records in a real PostgreSQL, the rest in memory, and controllers that can be killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from deployments.domain.entities import Deployment
from deployments.domain.revisions import release_of, revision_of
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.driver.conducting import Conductor
from deployments.driver.effects.preparation import source_of
from deployments.driver.forward import go_forward
from deployments.driver.reconciling import reconcile_environment
from deployments.driver.run import Run
from deployments.driver.world import SystemClock, World
from deployments.store.records import Records
from tests.fakes.builder import FakeBuilder
from tests.fakes.machine import FakeMachine
from tests.fakes.meter import FakeMeter
from tests.fakes.prober import FakeProber
from tests.fakes.provisioner import FakeProvisioner
from tests.fakes.proxy import FakeProxy
from tests.fakes.supervisor import FakeSupervisor

ENVIRONMENT = "production"


class QuickClock(SystemClock):
    """The machine's clock, with waits cut to a thousandth."""

    def sleep(self, duration: timedelta) -> None:
        super().sleep(duration / 1000)


class Killed(BaseException):
    """SIGKILL: nothing of the controller runs after it."""


@dataclass
class Reaper:
    """Counts what the controller writes, and kills it before or after the one that is named."""

    kill_at: int | None = None
    after: bool = False
    count: int = 0
    is_dead: bool = False
    writes: list[str] = field(default_factory=list)

    def around(self, name: str, write: Callable[..., Any]) -> Callable[..., Any]:
        """The write, with death around it."""

        def deadly(*arguments: Any, **named: Any) -> Any:
            if self.is_dead:
                raise Killed
            self.count += 1
            self.writes.append(name)
            is_now = self.count == self.kill_at
            if is_now and not self.after:
                self.is_dead = True
                raise Killed
            result = write(*arguments, **named)
            if is_now:
                self.is_dead = True
                raise Killed
            return result

        return deadly


WRITES = {
    "proxy": (
        "ensure_routes", "remove_routes", "attach", "detach", "set_weights", "hold", "unhold", "arm_handle",
        "disarm_handle", "promote",
    ),
    "supervisor": ("ensure_started", "ensure_stopped"),
    "provisioner": ("ensure", "remove", "write_configuration", "remove_configuration"),
    "journal": ("intend", "receipt"),
    "deployments": ("advance", "fail_and_plan_undo", "save_plan"),
    "stables": ("mark",),
    "instances": ("record", "set_state"),
    "routes": ("record", "remove"),
    "resources": ("record", "remove"),
}  # fmt: skip


class Watched:
    """An object whose writes pass the reaper; everything else is its own."""

    def __init__(self, inner: object, kind: str, reaper: Reaper) -> None:
        self._inner, self._kind, self._reaper = inner, kind, reaper

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return self._reaper.around(f"{self._kind}.{name}", found) if name in WRITES[self._kind] else found


class WatchedRecords:
    """Records whose writing repositories pass the reaper."""

    def __init__(self, inner: Records, reaper: Reaper) -> None:
        self._inner = inner
        for kind in ("journal", "deployments", "stables", "instances", "routes", "resources"):
            setattr(self, kind, Watched(getattr(inner, kind), kind, reaper))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Stage:
    """One environment's outside, and controllers that come and go."""

    def __init__(self, database_url: str, base: Path) -> None:
        self.records = Records(database_url)
        self.engine = create_engine(database_url)
        self.base = base
        self.proxy, self.supervisor, self.meter = FakeProxy(), FakeSupervisor(), FakeMeter()
        self.builder, self.provisioner, self.machine = FakeBuilder(), FakeProvisioner(), FakeMachine()
        self.prober = FakeProber(supervisor=self.supervisor)

    def close(self) -> None:
        """Give the connections back."""
        self.records.close()
        self.engine.dispose()

    def world(self, reaper: Reaper | None = None) -> World:
        """The outside as a controller sees it; with a reaper, one that will be killed."""
        reaper = reaper or Reaper()
        proxy: Any = Watched(self.proxy, "proxy", reaper)
        records: Any = WatchedRecords(self.records, reaper)
        supervisor: Any = Watched(self.supervisor, "supervisor", reaper)
        provisioner: Any = Watched(self.provisioner, "provisioner", reaper)
        return World(
            records=records,
            proxy=lambda _: proxy,
            meter=lambda _: self.meter,
            supervisor=supervisor,
            builder=self.builder,
            provisioner=provisioner,
            prober=self.prober,
            machine=self.machine,
            log_directory=Path("/logs"),
            clock=QuickClock(),
        )

    @contextmanager
    def held(
        self, specification: DeploymentSpecification, world: World | None = None, **asked: Any
    ) -> Iterator[tuple[Conductor, Run]]:
        """A deployment begun and planned, its lease kept until the block ends."""
        conductor = Conductor(world or self.world())
        run = conductor.begin(specification, None, self.base, asked.pop("flow_run", None), **asked)
        try:
            yield conductor, run
        finally:
            conductor.leave(run)

    def deploy(
        self, specification: DeploymentSpecification, reaper: Reaper | None = None, **asked: Any
    ) -> Deployment | None:
        """All phases one after the other, as the flow does it. None when the controller was killed on the way."""
        try:
            with self.held(specification, self.world(reaper), **asked) as (conductor, run):
                try:
                    go_forward(run)
                except Exception as error:  # noqa: BLE001 - whatever ends it, as in the flow
                    conductor.fail(run, error)
                return self.records.deployments.get(run.deployment)
        except Killed:
            self.expire_leases()
            return None

    def expire_leases(self) -> None:
        """Let the time pass that a silent controller is given."""
        with self.engine.begin() as connection:
            past = "clock_timestamp() - interval '60 seconds'"
            connection.execute(text(f"update fairlead.leases set expires_at = {past}"))
            connection.execute(text(f"update fairlead.deployments set updated_at = {past}"))

    def reconcile(self, reaper: Reaper | None = None) -> list[str]:
        """A round of the reconciler."""
        return reconcile_environment(self.world(reaper), ENVIRONMENT)

    def last(self) -> Deployment:
        """The newest deployment."""
        return self.records.queries.history(limit=1)[0]

    def serving(self, service: str) -> dict[str, int]:
        """Instances with weight, by name."""
        return {b.endpoint.instance: b.weight for b in self.proxy.backends(service) if b.weight}

    def revision_asked(self, specification: DeploymentSpecification, service: str) -> str:
        """The revision that a specification asks for."""
        asked = specification.service(service)
        lock = self.builder.resolve(source_of(asked), base=self.base)
        return revision_of(specification, asked, release_of(asked, lock))

    def revision(self, service: str) -> set[str]:
        """The revisions that have traffic."""
        return {b.endpoint.revision for b in self.proxy.backends(service) if b.weight}


def service(name: str, version: str = "1.0", **fields: Any) -> dict[str, Any]:
    """A valid service."""
    return {
        "name": name,
        "version": version,
        "source": {"kind": "path", "path": "."},
        "framework": "none",
        "run_command": ["serve", version, "{port}"],
        **fields,
    }


def specification(*services: dict[str, Any], **fields: Any) -> DeploymentSpecification:
    """A valid specification that bakes no longer than it must."""
    return DeploymentSpecification.model_validate(
        {
            "project": "shop",
            "target_environment": ENVIRONMENT,
            "services": list(services) or [service("api")],
            "success_criteria": {"bake": "1ms"},
            **fields,
        }
    )
