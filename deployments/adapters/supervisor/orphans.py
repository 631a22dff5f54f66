"""Living processes whose records were lost: found by their marks, so that they can be watched and stopped."""

from __future__ import annotations

import os
from pathlib import Path

from deployments.adapters.supervisor.identity import PROC, ProcessIdentity, find_by_environment, leader_of, variables_of
from deployments.adapters.supervisor.records import INSTANCE, SERVICE, Record


def find_orphans(state_directory: Path, known: set[str]) -> list[tuple[Record, ProcessIdentity]]:
    """What a supervisor of this state directory started and no key of `known` names, oldest first.

    A process tells who it is, not how it was started (an exec may lie in between): its record has no command, and gets
    one when the same is asked to be started.
    """
    families: dict[str, tuple[Record, list[ProcessIdentity]]] = {}
    for identity in find_by_environment({"FAIRLEAD_SUPERVISOR": str(state_directory)}):
        record = _record_of(identity.pid)
        if record is not None and record.key not in known:
            families.setdefault(record.key, (record, []))[1].append(identity)
    found = [(record, leader) for record, family in families.values() if (leader := leader_of(family))]
    return sorted(found, key=lambda pair: pair[1].started)


def _record_of(pid: int) -> Record | None:
    variables = variables_of(pid)
    name = variables.get("FAIRLEAD_INSTANCE")
    if not name:
        return None
    marks = [variables.get(f"FAIRLEAD_{mark}") for mark in ("ENVIRONMENT", "SERVICE", "REVISION")]
    is_instance = all(mark is not None for mark in marks)
    environment, service, revision = (mark or "" for mark in marks) if is_instance else ("", "", "")
    port = variables.get("PORT", "")
    return Record(
        kind=INSTANCE if is_instance else SERVICE,
        name=name,
        command=(),
        directory="/",
        log=_output_of(pid),
        project_environment=environment,
        service=service,
        revision=revision,
        port=int(port) if is_instance and port.isdecimal() else None,
    )


def _output_of(pid: int) -> str:
    try:
        return str((PROC / str(pid) / "fd" / "1").readlink())
    except OSError:
        return os.devnull
