"""The data plane's supervisor: the host of the proxy and the meter, and the supervisor of instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from deployments.adapters.supervisor.fences import Fences
from deployments.adapters.supervisor.host import ProcessHost
from deployments.adapters.supervisor.records import INSTANCE, Record
from deployments.adapters.supervisor.rpc import SupervisorAway
from deployments.domain.errors import SupervisorUnavailable
from deployments.domain.ports import InstanceReport, InstanceState, Program

UNKNOWN_METHOD = 1
"""How XML-RPC says, in supervisor's words, that there is no such method."""


class DataPlane(ProcessHost):
    """Implements `deployments.domain.ports.Supervisor`.

    An instance that ends within `settle` of its start stays EXITED with its code. One that lived longer is restarted
    when it ends, for as long as it takes; `restarts` counts that and `exit_code` keeps the last code (negative for a
    signal, None when no supervisor saw the end). Every write starts the supervisor when it is away.
    """

    def admit(self, project_environment: str, *, fence: int) -> None:
        """From here on refuse whoever has a lower fence in this environment. Raises StaleFence.

        A supervisor that was started by the version before this one learns of the fence with its first write.
        """
        try:
            self._call_running("admit", project_environment=project_environment, fence=fence)
        except SupervisorUnavailable as error:
            if getattr(error.__cause__, "faultCode", None) != UNKNOWN_METHOD:
                raise

    def ensure_started(self, program: Program, *, fence: int) -> InstanceReport:
        """Start it unless an instance of this name runs already; then report that one. Raises StaleFence."""
        return _report(self._start(Record.of_program(program), fence=fence))

    def ensure_stopped(self, instance: str, *, grace: timedelta, fence: int) -> None:
        """SIGTERM to its process group, SIGKILL after `grace`; returns when it is gone. Raises StaleFence."""
        self._stop(f"{INSTANCE}:{instance}", grace=grace.total_seconds(), fence=fence)

    def observe(self, instance: str) -> InstanceReport:
        """What is known of it; while the supervisor is away, what its records and the kernel say."""
        key = f"{INSTANCE}:{instance}"
        try:
            answer = self._calls.call("observe", key=key)
        except SupervisorAway:
            record = self._records.load(key)
            return record.report(self._records.living(key)) if record else _unknown(instance)
        return _report(answer) if answer else _unknown(instance)

    def observe_all(self, project_environment: str) -> Sequence[InstanceReport]:
        """Every instance of one environment that has not been stopped, oldest start first."""
        try:
            answers = self._calls.call("observe_all")
        except SupervisorAway:
            records = [record for record in self._records.all() if record.kind == INSTANCE]
            reports = [record.report(self._records.living(record.key)) for record in records]
        else:
            reports = [_report(answer) for answer in answers if answer["kind"] == INSTANCE]
        return tuple(report for report in reports if report.project_environment == project_environment)

    def highest_fence(self, project_environment: str) -> int:
        """The highest fence ever seen, from disk; 0 for a new environment, or when it cannot be read."""
        return Fences(self._state_directory).highest(project_environment)


def _unknown(instance: str) -> InstanceReport:
    return InstanceReport(instance, InstanceState.UNKNOWN)


def _report(answer: Mapping[str, Any]) -> InstanceReport:
    values = {name: value for name, value in answer.items() if name not in ("kind", "name", "state")}
    return InstanceReport(instance=answer["name"], state=InstanceState(answer["state"]), **values)
