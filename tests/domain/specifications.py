"""Builders of specifications and facts that are valid by default."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from deployments.domain.environment import EnvironmentRecord
from deployments.domain.facts import Facts, Principal, RunningRelease
from deployments.domain.ports import Endpoint, MachineFacts, SourceLock
from deployments.domain.spec.specification import DeploymentSpecification

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
HASHED = "datasette==0.65.1 --hash=sha256:" + "a" * 64


def service(name: str = "api", **fields: Any) -> dict[str, Any]:
    """A service as people write it."""
    return {
        "name": name,
        "version": "1.0",
        "source": {"kind": "pypi", "requirement": "datasette==0.65.1"},
        "run_command": ["{bin}/datasette", "--port", "{port}"],
        **fields,
    }


def written(*services: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A specification as people write it."""
    return {
        "project": "shop",
        "target_environment": "production",
        "services": list(services) or [service()],
        **fields,
    }


def specification(*services: dict[str, Any], **fields: Any) -> DeploymentSpecification:
    """A specification, which the rules between fields have not judged."""
    return DeploymentSpecification.model_validate(written(*services, **fields))


def environment(**fields: Any) -> EnvironmentRecord:
    """A record in which ann may deploy."""
    grants = [{"principal": "ann", "permissions": ["deploy"]}]
    return EnvironmentRecord.model_validate({"name": "production", "project": "shop", "grants": grants, **fields})


def running(name: str = "api", *, version: str = "1.0", instances: int = 1, **fields: Any) -> RunningRelease:
    """A release that serves."""
    endpoints = tuple(Endpoint(f"{name}-old-{n}", 9000 + n, "0123456789ab") for n in range(instances))
    return RunningRelease(
        service=name,
        revision=fields.pop("revision", "0123456789ab"),
        release="r" * 64,
        version=version,
        deployment="before",
        endpoints=endpoints,
        **{"cpu": 0.1, "memory_mb": 128, **fields},
    )


def machine(**fields: Any) -> MachineFacts:
    """A machine with room."""
    return MachineFacts(
        **{
            "cpus": 8,
            "memory_total_mb": 16_000,
            "memory_available_mb": 8_000,
            "disk_free_mb": 50_000,
            "can_limit_memory": True,
            "can_limit_cpu": True,
            **fields,
        }
    )


def facts(**fields: Any) -> Facts:
    """What was observed: an environment with room, every source resolved, nothing running."""
    return Facts(
        **{
            "now": NOW,
            "principal": Principal("ann"),
            "machine": machine(),
            "environment": environment(),
            "locks": {name: SourceLock("pypi", "d" * 64, (HASHED,)) for name in ("api", "web", "db", "jobs")},
            **fields,
        }
    )
