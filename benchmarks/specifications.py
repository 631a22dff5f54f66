"""Specifications of services whose start time is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def service(
    source: Path, name: str = "web", *, release: str = "1", seconds: float = 0.0, **fields: Any
) -> dict[str, Any]:
    """One service that `benchmarks/served.py` in the directory `source` is run for."""
    return {
        "name": name,
        "version": "1.0",
        "source": {"kind": "path", "path": str(source)},
        "framework": "none",
        "run_command": ["{python}", "{release}/served.py", "{port}", f"{seconds:g}", release],
        "resources": {"cpu": 0.01, "memory_mb": 32},
        **fields,
    }


def specification(environment: str, services: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """The whole, without a bake time and with nothing kept warm unless given."""
    return {
        "project": "bench",
        "target_environment": environment,
        "services": services,
        "success_criteria": {"bake": "0s"},
        **fields,
    }


def layered(source: Path, *, layers: int, width: int, seconds: float) -> list[dict[str, Any]]:
    """`layers` times `width` services; each needs all services of the layer before its own."""
    names = [[f"s{layer:02}-{place}" for place in range(width)] for layer in range(layers)]
    return [
        service(source, name, seconds=seconds, dependencies=names[layer - 1] if layer else [])
        for layer, row in enumerate(names)
        for name in row
    ]
