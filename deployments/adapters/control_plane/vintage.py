"""Which code and settings a long-running process of ours was started with.

The warm runner and the reconciler keep in memory what they imported. After an upgrade they would go on with the old
code; a different vintage says that they have to be started again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

PACKAGES = ("blocks", "deployments", "flows", "tasks")


def vintage(root: Path, settings: Mapping[str, str]) -> str:
    """A digest over the settings and over name, size and time of every source file of the packages below `root`."""
    digest = hashlib.sha256(repr(sorted(settings.items())).encode())
    files = sorted(file for package in PACKAGES for file in (root / package).rglob("*.py"))
    for file in (*files, root / "prefect.yaml"):
        try:
            found = file.stat()
        except FileNotFoundError:  # removed meanwhile, or an installation without it
            continue
        digest.update(f"{file.relative_to(root)} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]
