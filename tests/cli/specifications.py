"""Specifications that are valid by default; a test overrides what it is about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HEALTHY = [{"probe": {"kind": "http", "path": "/"}, "interval": "100ms"}]


def service(**changes: Any) -> dict[str, Any]:
    """A web server that serves the files in `site`."""
    return {
        "name": "web",
        "version": "1.0",
        "framework": "static",
        "source": {"kind": "path", "path": "site"},
        "health_checks": HEALTHY,
        **changes,
    }


def specification(*services: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """One service, judged for a moment."""
    return {
        "project": "shop",
        "target_environment": "staging",
        "services": list(services) or [service()],
        "success_criteria": {"bake": "300ms"},
        **changes,
    }


def write(directory: Path, name: str, asked: dict[str, Any]) -> str:
    """As a file; its name."""
    (directory / name).write_text(json.dumps(asked, indent=2))
    return name


def write_site(directory: Path, text: str) -> None:
    """What the service serves."""
    (directory / "site").mkdir(exist_ok=True)
    (directory / "site" / "index.html").write_text(text)
