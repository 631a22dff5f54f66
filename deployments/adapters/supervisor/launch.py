"""Between fork and exec: a copy of the supervisor becomes the program, and nothing is inherited."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from deployments.adapters.supervisor.identity import ProcessIdentity
from deployments.adapters.supervisor.limits import LimitSupport, apply_rlimits, join_cgroup
from deployments.adapters.supervisor.records import INSTANCE, Record, write_atomically

NOT_STARTED = 127


def become(record: Record, identity_path: Path, data_plane: str, support: LimitSupport) -> NoReturn:
    """Turn this process into the record's program; ends with 127 and a line in the log when that is not possible.

    The process writes its own identity before it becomes the program: whatever kills the supervisor in between, a
    running program is always in the books.
    """
    stage = "prepare"
    try:
        with suppress(PermissionError):  # the parent was first
            os.setpgid(0, 0)
        _take_log(record)
        identity = ProcessIdentity.of(os.getpid())
        write_atomically(identity_path, json.dumps(asdict(identity) if identity else None))
        join_cgroup(record.key, memory_mb=record.memory_mb, cpu=record.cpu, support=support)
        apply_rlimits(memory_mb=record.memory_mb, open_files=record.open_files, support=support)
        os.umask(0o022)
        if record.user is not None:
            _drop_to(*record.user)
        stage = f"enter {record.directory}"
        os.chdir(record.directory)
        stage = f"run {record.command[0]}"
        _reset_signals()
        os.execvpe(record.command[0], record.command, environment_of(record, data_plane))
    except BaseException as error:  # noqa: BLE001 - this copy of the supervisor must end here whatever happens
        with suppress(OSError):
            os.write(2, f"fairlead: {record.name} could not {stage}: {error}\n".encode())
    finally:
        os._exit(NOT_STARTED)


def environment_of(record: Record, data_plane: str) -> dict[str, str]:
    """The program's complete environment: what it was given, and who it is."""
    return {**record.environment, **marks_of(record, data_plane)}


def marks_of(record: Record, data_plane: str) -> dict[str, str]:
    """The variables by which a process of this record is recognised, its children included."""
    marks = {"FAIRLEAD_INSTANCE": record.name, "FAIRLEAD_SUPERVISOR": data_plane}
    if record.kind == INSTANCE:
        marks |= {
            "FAIRLEAD_ENVIRONMENT": record.project_environment,
            "FAIRLEAD_SERVICE": record.service,
            "FAIRLEAD_REVISION": record.revision,
        }
    return marks


def _take_log(record: Record) -> None:
    """Output goes straight to the file: a pipe would break, and the program with it, when the supervisor dies."""
    path = Path(record.log)
    path.parent.mkdir(parents=True, exist_ok=True)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)


def _drop_to(user: int, group: int) -> None:
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)


def _reset_signals() -> None:
    """Defaults, then unblock: a SIGTERM that came since the fork takes effect now."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
