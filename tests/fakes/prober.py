"""A prober whose answers a test arranges."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from deployments.domain.ports import InstanceState, ProbeOutcome, ProbeRequest
from tests.fakes.supervisor import FakeSupervisor

GOOD = ProbeOutcome(is_good=True, detail="200", latency=timedelta(milliseconds=1))
BAD = ProbeOutcome(is_good=False, detail="503 instead of 200", latency=timedelta(milliseconds=1))
REFUSED = ProbeOutcome(is_good=False, detail="connection refused", latency=timedelta(milliseconds=1))
UNMEASURED = ProbeOutcome(is_good=False, detail="could not ask", latency=timedelta(0), was_measured=False)


@dataclass
class FakeProber:
    """Good unless arranged otherwise.

    A port of an instance that `supervisor` knows and that does not run refuses. `sicken` a service (of one revision),
    a port or a command; `script` gives a port or a command a series of answers, the last one repeated.
    """

    supervisor: FakeSupervisor | None = None
    asked: list[ProbeRequest] = field(default_factory=list)
    _sick: dict[object, ProbeOutcome] = field(default_factory=dict)
    _scripts: dict[object, list[ProbeOutcome]] = field(default_factory=dict)

    def probe(self, request: ProbeRequest) -> ProbeOutcome:
        """Answer as arranged."""
        self.asked.append(request)
        target: object = request.command if request.kind == "command" else request.port
        script = self._scripts.get(target)
        if script:
            return script.pop(0) if len(script) > 1 else script[0]
        return self._sick.get(target) or self._of_instance(request.port) or GOOD

    def sicken(self, target: object, outcome: ProbeOutcome = BAD) -> None:
        """`target` is a port, a command tuple, a service name, or (service, revision)."""
        self._sick[target] = outcome

    def heal(self, target: object) -> None:
        """Let it be good again."""
        self._sick.pop(target, None)

    def script(self, target: object, *outcomes: ProbeOutcome) -> None:
        """Answers of a port or a command, one after the other."""
        self._scripts[target] = list(outcomes)

    def _of_instance(self, port: int | None) -> ProbeOutcome | None:
        for report in self.supervisor.reports() if self.supervisor and port is not None else ():
            if report.port == port:
                if report.state is not InstanceState.RUNNING:
                    return REFUSED
                return self._sick.get(report.service) or self._sick.get((report.service, report.revision))
        return None
