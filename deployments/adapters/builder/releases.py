"""Where releases are kept: `releases/<digest>/` with `run/`, perhaps `venv/`, and `release.json` once it is complete.

A release is built at its final place, because virtual environments hold absolute paths; the manifest, written last, is
what makes it one. A directory without it is what a killed builder left.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deployments.adapters.builder.commands import end_leftovers
from deployments.adapters.builder.holding import held
from deployments.adapters.supervisor.records import write_atomically
from deployments.domain.errors import Refused
from deployments.domain.ports import BuiltRelease

MANIFEST = "release.json"


class Releases:
    """The releases of one state directory."""

    def __init__(self, state_directory: Path) -> None:
        """Nothing is made yet."""
        self._directory = state_directory / "releases"
        self._logs = state_directory / "logs" / "builds"

    def place(self, digest: str) -> Path:
        """The directory of a release. Raises Refused when that is no digest."""
        if not re.fullmatch(r"[0-9a-f]{8,128}", digest):
            raise Refused(f"{digest!r} is no digest.")
        return self._directory / digest

    def log(self, digest: str) -> Path:
        """The build's log, kept when the build failed."""
        self._logs.mkdir(parents=True, exist_ok=True)
        return self._logs / f"{digest}.log"

    def find(self, digest: str) -> BuiltRelease | None:
        """The release when it is complete."""
        place = self.place(digest)
        try:
            manifest = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        has_programs = (place / "venv" / "bin").is_dir()
        return BuiltRelease(
            digest=digest,
            path=place / "run",
            bin=place / "venv" / "bin" if has_programs else None,
            size_bytes=int(manifest["size_bytes"]),
        )

    def complete(self, digest: str, manifest: Mapping[str, object]) -> None:
        """Make it a release."""
        write_atomically(self.place(digest) / MANIFEST, json.dumps(dict(manifest), indent=1), durable=True)

    def discard(self, digest: str) -> None:
        """Remove what there is of it."""
        shutil.rmtree(self.place(digest), ignore_errors=True)

    @contextmanager
    def held(self, digest: str, seconds: float) -> Iterator[None]:
        """One builder of a digest at a time; a killed one holds nothing, a stopped one is ended.

        Raises Unavailable after `seconds`.
        """
        self._directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        lock, mark = self._directory / f"{digest}.lock", str(self.place(digest))
        with held(lock, seconds, purpose=f"building {digest[:12]}", end_leftovers=lambda: end_leftovers(mark)):
            yield
