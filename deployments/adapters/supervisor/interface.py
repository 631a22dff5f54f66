"""Our RPC interface inside supervisord: fence and effect are one step of its single thread.

Each method takes and returns one JSON text (XML-RPC has no 64-bit integers and forbids control characters). An error
that the caller must see travels as its class name.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from supervisor import events
from supervisor.process import ProcessGroupBase
from supervisor.states import SupervisorStates

from deployments.adapters.supervisor.daemon import SETTLE_VARIABLE, STATE_VARIABLE
from deployments.adapters.supervisor.fences import Fences
from deployments.adapters.supervisor.identity import ProcessIdentity, find_by_environment, leader_of
from deployments.adapters.supervisor.launch import marks_of
from deployments.adapters.supervisor.limits import detect_limits
from deployments.adapters.supervisor.orphans import find_orphans
from deployments.adapters.supervisor.process import SupervisedProcess, Surroundings
from deployments.adapters.supervisor.records import Record
from deployments.domain.errors import StaleFence

BETWEEN_WALKS_SECONDS = 0.05


class FairleadInterface:
    """Public methods are callable as `fairlead.<name>`."""

    def __init__(self, supervisord: Any, surroundings: Surroundings) -> None:
        """Survivors are taken over once supervisord runs, before the first call."""
        self._supervisord = supervisord
        self._surroundings = surroundings
        self._fences = Fences(surroundings.state_directory)
        self._group = _Group(surroundings)
        surroundings.forget = self._forget
        supervisord.process_groups[self._group.config.name] = self._group
        events.subscribe(events.SupervisorRunningEvent, self._recover)

    def ping(self, request: str) -> str:
        """Answer."""
        return json.dumps({"pid": self._supervisord.options.get_pid()})

    def admit(self, request: str) -> str:
        """Remember a fence, so that lower ones are refused from here on: {project_environment, fence} -> {}."""
        values = json.loads(request)
        return self._guarded(values["project_environment"], values, dict)

    def start(self, request: str) -> str:
        """Start a record unless a process of this key runs: {record, fence?} -> report.

        One that lives while the books were lost is taken over: another would be its double, on the same port.
        """
        values = json.loads(request)
        record = Record.from_dict(values["record"])
        return self._guarded(record.project_environment, values, lambda: self._start(record))

    def stop(self, request: str) -> str:
        """Begin to stop: {key, grace?, fence?} -> {}. It is forgotten when it ended."""
        values = json.loads(request)
        process = self._process(values["key"])
        if process is None:
            return json.dumps({})
        return self._guarded(process.record.project_environment, values, lambda: self._stop(process, values))

    def observe(self, request: str) -> str:
        """{key} -> report, or {} for one that is not known."""
        process = self._process(json.loads(request)["key"])
        return json.dumps(_report(process) if process else {})

    def observe_all(self, request: str) -> str:
        """-> [report], oldest start first."""
        processes = sorted(self._group.processes.values(), key=lambda process: process.record.order)
        return json.dumps([_report(process) for process in processes])

    def shut_down(self, request: str) -> str:
        """Stop what still runs, forget it, and end."""
        for process in list(self._group.processes.values()):
            self._stop(process, {})
        self._supervisord.options.mood = SupervisorStates.SHUTDOWN
        return json.dumps({})

    def _guarded(self, project_environment: str, values: Mapping[str, Any], effect: Callable[[], Any]) -> str:
        try:
            if values.get("fence") is not None:
                self._fences.admit(project_environment, values["fence"])
        except StaleFence as error:
            return json.dumps({"error": "StaleFence", "message": error.message, "context": dict(error.context)})
        return json.dumps(effect())

    def _start(self, record: Record) -> dict[str, Any]:
        process = self._process(record.key)
        if process is not None and process.pid and not process.record.is_wanted:
            return {"error": "SupervisorUnavailable", "message": f"{record.name} is being stopped.", "context": {}}
        if process is not None and process.pid and process.record.is_complete:
            return _report(process)
        survivor = self._survivor(record, process)
        process = self._add(record)
        if survivor is None:
            process.spawn()
        else:
            process.adopt_unrecorded(survivor)
        return _report(process)

    def _survivor(self, record: Record, process: SupervisedProcess | None) -> ProcessIdentity | None:
        """The living process of this record, where the books do not have it or do not know how it was started."""
        if process is None:
            return leader_of(find_by_environment(marks_of(record, str(self._surroundings.state_directory))))
        return process.give_up() if process.pid else None

    def _stop(self, process: SupervisedProcess, values: Mapping[str, Any]) -> dict[str, Any]:
        if not process.pid:
            self._forget(process.record.key)
        elif process.record.is_wanted:
            process.record.is_wanted = False
            process.record.stop_grace = values.get("grace", process.record.stop_grace)
            self._surroundings.records.save(process.record)
            process.stop()
        return {}

    def _add(self, record: Record) -> SupervisedProcess:
        process = SupervisedProcess(self._supervisord.options, record, self._surroundings)
        process.group = self._group
        self._group.processes[record.key] = process
        return process

    def _forget(self, key: str) -> None:
        self._group.processes.pop(key, None)
        self._surroundings.records.forget(key)

    def _process(self, key: str) -> SupervisedProcess | None:
        process: SupervisedProcess | None = self._group.processes.get(key)
        return process

    def _recover(self, event: Any) -> None:
        """Take over what a supervisor before this one left: living ones, ones it was stopping, ones that must run.

        Where its books were lost, what lives is in them again; only how it was started is not known.
        """
        for record in list(self._surroundings.records.all()):
            process, identity = self._add(record), self._surroundings.records.living(record.key)
            if identity is not None:
                process.adopt(identity)
                if not record.is_wanted:
                    process.stop()
            elif not record.is_wanted:
                self._forget(record.key)
            elif not record.has_exited:
                process.recover()
        for record, identity in find_orphans(self._surroundings.state_directory, set(self._group.processes)):
            self._add(record).adopt_unrecorded(identity)


def make_interface(supervisord: Any) -> FairleadInterface:
    """Called by supervisord, whose configuration names it; its settings come from the environment (see daemon.py)."""
    surroundings = Surroundings(
        Path(os.environ[STATE_VARIABLE]),
        settle_seconds=float(os.environ[SETTLE_VARIABLE]),
        support=detect_limits(),
    )
    return FairleadInterface(supervisord, surroundings)


class _GroupConfig:
    """The one group that all our processes are in."""

    name = "fairlead"
    priority = 999
    process_configs: tuple[Any, ...] = ()


class _Group(ProcessGroupBase):  # type: ignore[misc]  # supervisor ships no types
    """Processes come and go while it is walked. It is walked after news and now and then, not after each call."""

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(_GroupConfig())
        self._surroundings = surroundings
        self._walked_at = 0.0

    def transition(self) -> None:
        now = time.monotonic()
        if not self._surroundings.has_news and now - self._walked_at < BETWEEN_WALKS_SECONDS:
            return
        self._walked_at, self._surroundings.has_news = now, False
        for process in list(self.processes.values()):
            process.transition()


def _report(process: SupervisedProcess) -> dict[str, Any]:
    record = process.record
    report = record.report(None)
    return {
        "kind": record.kind,
        "name": record.name,
        "state": "running" if process.pid else report.state.value,
        "pid": process.pid or None,
        "port": record.port,
        "exit_code": record.exit_code,
        "restarts": record.restarts,
        "project_environment": record.project_environment,
        "service": record.service,
        "revision": record.revision,
    }
