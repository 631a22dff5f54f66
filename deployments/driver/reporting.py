"""The report of a deployment: everything that is known of it, as JSON values."""

from __future__ import annotations

from deployments.domain.codec import plan_to_json
from deployments.driver.run import Run


def report_of(run: Run) -> dict[str, object]:
    """What was asked, what was done in which order, what was measured."""
    record = run.world.records.deployments.get(run.deployment)
    entries = run.world.records.journal.entries(run.deployment)
    return {
        "deployment": record.id,
        "name": record.name,
        "project": record.project,
        "environment": record.environment,
        "created_by": record.created_by,
        "created_at": record.created_at.isoformat(),
        "specification": dict(record.specification),
        "plan": plan_to_json(run.plan),
        "steps": [
            {
                "step": entry.key,
                "intended_at": entry.intended_at.isoformat(),
                "done_at": entry.done_at.isoformat() if entry.done_at else None,
                "values": dict(entry.values) if entry.is_done else None,
            }
            for entry in entries
        ],
        "traffic": [
            {"service": r.service, "revision": r.revision, "requests": r.requests, "errors": r.errors,
             "latency_ms": dict(r.latency_ms)}
            for r in run.meter.read(since=record.created_at).readings
        ],
    }  # fmt: skip
