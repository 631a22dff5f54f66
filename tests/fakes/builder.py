"""A builder in memory that refuses what the real one refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from deployments.domain.errors import BuildFailed, DiskFull, Refused, SourceUnavailable
from deployments.domain.ports import BuildRequest, BuiltRelease, SourceLock

REQUIRED_KEYS = {"path": ("path",), "git": ("url", "ref"), "pypi": ("requirement",), "archive": ("path", "sha256")}


@dataclass
class FakeBuilder:
    """`builds` lists the digests that were really built.

    Arrange with `missing`, `unreachable` (references: path, url or requirement), `failing` (service names) and
    `disk_is_full`.
    """

    root: Path = Path("/fake/releases")
    builds: list[str] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    unreachable: set[str] = field(default_factory=set)
    failing: set[str] = field(default_factory=set)
    disk_is_full: bool = False
    _releases: dict[str, BuiltRelease] = field(default_factory=dict)

    def resolve(self, source: Mapping[str, str], *, base: Path) -> SourceLock:
        """The digest is over the source's description: equal descriptions are equal content here."""
        kind = source.get("kind", "")
        if kind not in REQUIRED_KEYS:
            raise Refused(f"source kind {kind!r} is unknown.", remedy=f"Use one of {', '.join(REQUIRED_KEYS)}.")
        for key in REQUIRED_KEYS[kind]:
            if not source.get(key):
                raise Refused(f"source of kind {kind} has no {key}.", remedy=f"Add {key} to the source.")
        reference = source.get("path") or source.get("url") or source.get("requirement") or ""
        if reference in self.unreachable:
            raise SourceUnavailable(f"source {reference} did not answer.", remedy="Try again.")
        if reference in self.missing:
            raise Refused(f"source {reference} does not exist.", remedy="Correct the source.")
        digest = sha256(repr(sorted(source.items())).encode()).hexdigest()
        return SourceLock(
            kind=kind, digest=digest, entries=(f"{reference} --hash=sha256:{digest}",), reference=reference
        )

    def ensure_built(self, request: BuildRequest) -> BuiltRelease:
        """Build once per digest."""
        known = self._releases.get(request.digest)
        if known is not None:
            return known
        if self.disk_is_full:
            raise DiskFull(f"release {request.digest[:12]} of {request.service}: there is no space left.")
        if request.service in self.failing:
            raise BuildFailed(
                f"{request.service}: the build command exited with 1.", service=request.service, tail="error"
            )
        path = self.root / request.digest / "run"
        has_programs = request.framework == "python" or request.lock.kind == "pypi"
        bin_directory = self.root / request.digest / "venv" / "bin" if has_programs else None
        release = BuiltRelease(digest=request.digest, path=path, bin=bin_directory, size_bytes=1024)
        self._releases[request.digest] = release
        self.builds.append(request.digest)
        return release

    def find(self, digest: str) -> BuiltRelease | None:
        """The release when it was built."""
        return self._releases.get(digest)
