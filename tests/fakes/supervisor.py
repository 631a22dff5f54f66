"""A supervisor in memory that refuses what the real one refuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

from deployments.domain.errors import Refused, StaleFence
from deployments.domain.ports import InstanceReport, InstanceState, Program


@dataclass
class _Life:
    program: Program
    pid: int
    state: InstanceState = InstanceState.RUNNING
    exit_code: int | None = None
    restarts: int = 0

    def report(self) -> InstanceReport:
        return InstanceReport(
            instance=self.program.instance,
            state=self.state,
            pid=self.pid if self.state is InstanceState.RUNNING else None,
            port=self.program.port,
            exit_code=self.exit_code,
            restarts=self.restarts,
            project_environment=self.program.project_environment,
            service=self.program.service,
            revision=self.program.revision,
        )


@dataclass
class FakeSupervisor:
    """`starts` and `stops` list effects that really happened, so that a test can see a doubled one.

    Arrange with `exits_on_start`, `crash`, `crash_and_restart`; look with `running`.
    """

    starts: list[str] = field(default_factory=list)
    stops: list[str] = field(default_factory=list)
    _lives: dict[str, _Life] = field(default_factory=dict)
    _fences: dict[str, int] = field(default_factory=dict)
    _exits: dict[tuple[str, str | None], int] = field(default_factory=dict)
    _pids: count[int] = field(default_factory=lambda: count(1000))

    def ensure_running(self) -> None:
        """It always runs."""

    def admit(self, project_environment: str, *, fence: int) -> None:
        """Refuse lower fences from here on."""
        self._pass(project_environment, fence)

    def ensure_started(self, program: Program, *, fence: int) -> InstanceReport:
        """Start it unless it runs; one whose port another instance holds exits with 1, as a real one would."""
        if not program.command:
            raise Refused(f"instance {program.instance} has an empty command.", remedy="Give it a run command.")
        self._pass(program.project_environment, fence)
        known = self._lives.get(program.instance)
        if known is None or known.state is not InstanceState.RUNNING:
            port_is_taken = any(
                life.state is InstanceState.RUNNING and life.program.port == program.port is not None
                for life in self._lives.values()
            )
            known = self._lives[program.instance] = _Life(program, next(self._pids))
            self.starts.append(program.instance)
            code = 1 if port_is_taken else self._exit_code(program)
            if code is not None:
                self.crash(program.instance, code)
        return known.report()

    def ensure_stopped(self, instance: str, *, grace: timedelta, fence: int) -> None:
        """Stop and forget; an unknown instance is fine."""
        life = self._lives.get(instance)
        if life is None:
            return
        self._pass(life.program.project_environment, fence)
        del self._lives[instance]
        self.stops.append(instance)

    def observe(self, instance: str) -> InstanceReport:
        """What is known of it."""
        life = self._lives.get(instance)
        return life.report() if life else InstanceReport(instance, InstanceState.UNKNOWN)

    def observe_all(self, project_environment: str) -> Sequence[InstanceReport]:
        """Every instance of the environment that was not stopped, exited ones too."""
        return tuple(
            life.report() for life in self._lives.values() if life.program.project_environment == project_environment
        )

    def highest_fence(self, project_environment: str) -> int:
        """The highest fence seen, 0 for a new environment."""
        return self._fences.get(project_environment, 0)

    def exits_on_start(self, service: str, code: int = 1, *, revision: str | None = None) -> None:
        """Let instances of this service (of one revision, or of all) end right after their start."""
        self._exits[service, revision] = code

    def crash(self, instance: str, code: int = 1) -> None:
        """Let it end by itself and stay so."""
        life = self._lives[instance]
        life.state, life.exit_code = InstanceState.EXITED, code

    def crash_and_restart(self, instance: str, code: int = 1) -> None:
        """Let it end by itself and be restarted."""
        life = self._lives[instance]
        life.pid, life.exit_code, life.restarts = next(self._pids), code, life.restarts + 1

    def lose(self, instance: str) -> None:
        """Let it be gone without a trace: the machine was restarted, and the supervisor's records were lost."""
        del self._lives[instance]

    def reports(self) -> Sequence[InstanceReport]:
        """Every instance of every environment, running ones first."""
        lives = sorted(self._lives.values(), key=lambda life: life.state is not InstanceState.RUNNING)
        return tuple(life.report() for life in lives)

    def running(self) -> list[str]:
        """Names of the running instances, sorted."""
        return sorted(name for name, life in self._lives.items() if life.state is InstanceState.RUNNING)

    def program(self, instance: str) -> Program:
        """The program an instance was started with."""
        return self._lives[instance].program

    def _exit_code(self, program: Program) -> int | None:
        every = self._exits.get((program.service, None))
        return self._exits.get((program.service, program.revision), every)

    def _pass(self, project_environment: str, fence: int) -> None:
        highest = self._fences.get(project_environment, 0)
        if fence < highest:
            raise StaleFence(fence=fence, highest=highest, project_environment=project_environment)
        self._fences[project_environment] = fence
