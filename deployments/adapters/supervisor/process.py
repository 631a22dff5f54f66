"""One supervised process: supervisor's own life cycle, with our launch, our books and our restarts.

Its end is seen through a pidfd. That also works for a survivor, a process that a supervisor before this one started and
that is no child of ours: it is taken over as if it were, only its exit code cannot be known.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from supervisor.options import ProcessConfig
from supervisor.process import Subprocess
from supervisor.states import ProcessStates, SupervisorStates

from deployments.adapters.supervisor.identity import (
    LEADER_VARIABLE,
    ProcessIdentity,
    find_by_environment,
    signal_group,
)
from deployments.adapters.supervisor.launch import become, marks_of
from deployments.adapters.supervisor.limits import LimitSupport, remove_cgroup
from deployments.adapters.supervisor.records import INSTANCE, SERVICE, Record, Records
from deployments.adapters.supervisor.restarts import decide_restart
from deployments.adapters.supervisor.rotation import rotate

ROTATE_SECONDS = 5.0
SHORTEST_LONG_LIFE_SECONDS = 1.0


class Surroundings:
    """What all processes of one supervisor share."""

    def __init__(self, state_directory: Path, *, settle_seconds: float, support: LimitSupport) -> None:
        """`settle_seconds` is how long an instance lives before its end is a crash and not a failed start."""
        self.state_directory = state_directory
        self.settle_seconds = settle_seconds
        self.support = support
        self.records = Records(state_directory)
        self.forget: Callable[[str], None] = lambda key: None
        self.has_news = False
        """A process ended: `transition` is due at once."""


class SupervisedProcess(Subprocess):  # type: ignore[misc]  # supervisor ships no types
    """A record that runs. Supervisor calls `transition` at least once a second and `finish` when a child was reaped."""

    def __init__(self, options: Any, record: Record, surroundings: Surroundings) -> None:
        """Not started yet."""
        super().__init__(_config(options, record))
        self.record = record
        self._surroundings = surroundings
        self._adopted: ProcessIdentity | None = None
        self._short_lives = 0
        self._restart_at: float | None = None
        self._rotated_at = 0.0
        self._began = 0.0

    def spawn(self) -> int | None:
        """Fork and become the program; signals wait until the child can take them."""
        self._restart_at = None
        self.record.has_exited = False
        self.record.order = time.time()
        self._surroundings.records.save(self.record)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid: int | None = super().spawn()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return pid

    def give_up(self) -> ProcessIdentity | None:
        """Stop watching a survivor, for another record of it to take over."""
        self._unwatch()
        self.pid, survivor, self._adopted = 0, self._adopted, None
        return survivor

    def adopt_unrecorded(self, identity: ProcessIdentity) -> None:
        """Take over a survivor that was in lost books, and write them again."""
        self.record.order = time.time()
        self._surroundings.records.save(self.record)
        self._surroundings.records.note_living(self.record.key, identity)
        self.adopt(identity)

    def adopt(self, identity: ProcessIdentity) -> None:
        """Take over a survivor."""
        self._adopted = identity
        self.pid = identity.pid
        self.state = ProcessStates.RUNNING
        started = identity.started / os.sysconf("SC_CLK_TCK")
        self._began = time.monotonic() - (time.clock_gettime(time.CLOCK_BOOTTIME) - started)
        self.laststart = time.time() - (time.monotonic() - self._began)
        self._watch(identity.open_pidfd())

    def stop(self) -> str | None:
        """Signal the group; supervisor's own escalation kills it when `stop_grace` is over."""
        self.config.stopwaitsecs = self.record.stop_grace
        message: str | None = super().stop()
        return message

    def kill(self, sig: int) -> str | None:
        """As supervisor does; a survivor is first looked at again, because its pid is not held by us."""
        if self._adopted is not None and not self._adopted.is_alive():
            return None
        message: str | None = super().kill(sig)
        return message

    def transition(self) -> None:
        """Supervisor's own moves, then ours: the end of a survivor, a restart that is due, settling, the log's size."""
        super().transition()
        if self._adopted is not None and not self._adopted.is_alive():
            self.finish(self.pid, 0)
        elif self.pid:
            self._note_settled()
        else:
            self._restart_when_due()
        self._rotate_log()

    def finish(self, pid: int, sts: int) -> None:
        """The process ended: end what is left of its group, then forget it, leave it ended or plan its restart."""
        was_stopping, was_adopted = self.killing, self._adopted is not None
        if not was_stopping:
            self._note_settled()
        self._unwatch()
        super().finish(pid, sts)
        self._adopted = None
        self._end_leftovers(pid)
        remove_cgroup(self.record.key, self._surroundings.support)
        if not self.record.is_wanted:
            self._surroundings.forget(self.record.key)
        elif not was_stopping:
            self._after_exit(None if was_adopted else os.waitstatus_to_exitcode(sts))

    def recover(self) -> None:
        """It ended while no supervisor was there to see it, or the machine was restarted."""
        self.state = ProcessStates.EXITED
        self._end_marked()
        self._plan_restart()

    def _spawn_as_parent(self, pid: int) -> int:
        super()._spawn_as_parent(pid)
        self._began = time.monotonic()
        with suppress(PermissionError, ProcessLookupError):  # the child was first
            os.setpgid(pid, pid)
        with suppress(OSError):  # on a kernel without pidfds the reaper looks once a second
            self._watch(os.pidfd_open(pid))
        return pid

    def _spawn_as_child(self, filename: str, argv: list[str]) -> None:
        self.record.environment = {**self.record.environment, LEADER_VARIABLE: str(os.getpid())}
        identity_path = self._surroundings.records.identity_path(self.record.key)
        become(self.record, identity_path, str(self._surroundings.state_directory), self._surroundings.support)

    def get_execv_args(self) -> tuple[str, list[str]]:
        """The program is looked for by the child, in its own environment."""
        return self.record.command[0], list(self.record.command)

    def _after_exit(self, exit_code: int | None) -> None:
        self.record.exit_code = exit_code
        long_life = max(self._surroundings.settle_seconds, SHORTEST_LONG_LIFE_SECONDS)
        self._short_lives = 0 if self._lived() >= long_life else self._short_lives + 1
        self._plan_restart()
        self._restart_when_due()

    def _plan_restart(self) -> None:
        """Decide whether to start it again, and write that down."""
        must_restart = self.record.is_complete and (self.record.kind == SERVICE or self.record.has_settled)
        delay = decide_restart(must_restart=must_restart, short_lives=self._short_lives)
        self.record.has_exited = delay is None
        self._restart_at = None if delay is None else time.monotonic() + delay.total_seconds()
        self._surroundings.records.save(self.record)

    def _restart_when_due(self) -> None:
        is_shutting_down = self.config.options.mood < SupervisorStates.RUNNING
        if self._restart_at is None or time.monotonic() < self._restart_at or is_shutting_down:
            return
        self.record.restarts += 1
        self.spawn()

    def _lived(self) -> float:
        return time.monotonic() - self._began

    def _note_settled(self) -> None:
        if not self.record.has_settled and self._lived() >= self._surroundings.settle_seconds:
            self.record.has_settled = True
            self._surroundings.records.save(self.record)

    def _end_leftovers(self, leader: int) -> None:
        """Children that outlived their leader hold its port; those of an instance are found wherever they went."""
        signal_group(leader, signal.SIGKILL)
        self._end_marked()

    def _end_marked(self) -> None:
        if self.record.kind == INSTANCE:
            for identity in find_by_environment(marks_of(self.record, str(self._surroundings.state_directory))):
                identity.kill()

    def _rotate_log(self) -> None:
        now = time.monotonic()
        if now - self._rotated_at >= ROTATE_SECONDS:
            self._rotated_at = now
            rotate(Path(self.record.log))

    def _watch(self, pidfd: int | None) -> None:
        if pidfd is not None:
            self.dispatchers = {pidfd: _EndWatch(self._surroundings)}

    def _unwatch(self) -> None:
        for pidfd in self.dispatchers:
            os.close(pidfd)
        self.dispatchers = {}


class _EndWatch:
    """Wakes supervisor's loop when a process ends; what follows is done by `reap` and `transition`."""

    closed = False

    def __init__(self, surroundings: Surroundings) -> None:
        self._is_waiting = True
        self._surroundings = surroundings

    def readable(self) -> bool:
        """Only until the end was seen once: a pidfd stays readable."""
        return self._is_waiting

    def writable(self) -> bool:
        """Never."""
        return False

    def handle_read_event(self) -> None:
        """The loop is awake, which was the purpose."""
        self._is_waiting = False
        self._surroundings.has_news = True

    def handle_error(self) -> None:
        """Nothing to undo."""

    def flush(self) -> None:
        """Nothing is buffered."""


class _Config(ProcessConfig):  # type: ignore[misc]  # supervisor ships no types
    """Supervisor's settings of one process, without its pipes."""

    def make_dispatchers(self, proc: SupervisedProcess) -> tuple[dict[int, Any], dict[str, None]]:
        """No pipes: the program writes to its log itself."""
        names = ("stdin", "stdout", "stderr", "child_stdin", "child_stdout", "child_stderr")
        return {}, dict.fromkeys(names)


def _config(options: Any, record: Record) -> _Config:
    """Supervisor never starts or restarts by itself here, and signals whole groups."""
    values: dict[str, Any] = dict.fromkeys(ProcessConfig.req_param_names)
    values |= {
        "name": record.key,
        "command": record.command[0] if record.is_complete else record.name,
        "priority": 999,
        "autostart": False,
        "autorestart": False,
        "startsecs": 0,
        "startretries": 0,
        "stopsignal": signal.Signals[f"SIG{record.stop_signal}"],
        "stopwaitsecs": record.stop_grace,
        "stopasgroup": True,
        "killasgroup": True,
        "exitcodes": (0,),
        "redirect_stderr": True,
        "environment": {},
    }
    return _Config(options, **values)
