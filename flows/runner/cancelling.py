"""How a run is asked to stop by itself, undoing what it did, before anything is signalled."""

from __future__ import annotations

from uuid import UUID


def ask_to_cancel(flow_run_id: UUID) -> bool:
    """Whether the run has been told, and will end by itself. A run that is not a deployment gets SIGTERM."""
    return False
