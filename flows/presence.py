"""Whether the process of a flow run still lives, as far as it can be known from this machine."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, StateType

from deployments.adapters.control_plane.runs import ClaimedRuns
from deployments.adapters.supervisor.identity import ProcessIdentity

CLOCKS_APART = 5.0
"""Seconds by which Prefect's server may be behind this machine."""


class Presence(StrEnum):
    """What is known of a run's process."""

    ALIVE = "alive"
    LOST = "lost"
    UNKNOWN = "unknown"


def presence_of(run: FlowRun, claims: ClaimedRuns) -> Presence:
    """By the warm runner's claim on the run, else by the process that is on record for it.

    We record `host:pid`. Prefect's process worker records a pid alone: such a process is found here by its environment,
    and not finding it says nothing, for it may be on another machine. A run that waits for a further attempt still
    names the process of the last one, which says nothing either.
    """
    if claims.is_alive(run.id):
        return Presence.ALIVE
    host, _, pid = (run.infrastructure_pid or "").rpartition(":")
    if not pid.isdigit() or (run.state_type is StateType.PENDING and run.run_count > 0):
        return Presence.UNKNOWN
    if host == socket.gethostname():
        return Presence.ALIVE if _may_be(ProcessIdentity.of(int(pid)), run) else Presence.LOST
    return Presence.ALIVE if not host and _was_started_for(int(pid), run) else Presence.UNKNOWN


async def record_process(flow_run: str) -> None:
    """Tell Prefect which process has a run that no worker started, so that it can be known when that is gone."""
    with suppress(Exception):  # the deployment does not depend on it
        async with get_client() as client:
            await client.update_flow_run(UUID(flow_run), infrastructure_pid=f"{socket.gethostname()}:{os.getpid()}")


def _may_be(process: ProcessIdentity | None, run: FlowRun) -> bool:
    """A process that began after the run did has its pid, and is another one."""
    if process is None:
        return False
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - process.started / os.sysconf("SC_CLK_TCK")
    return run.state is None or time.time() - age < run.state.timestamp.timestamp() + CLOCKS_APART


def _was_started_for(pid: int, run: FlowRun) -> bool:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return f"PREFECT__FLOW_RUN_ID={run.id}".encode() in environment
