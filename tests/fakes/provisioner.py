"""A provisioner in memory that refuses what the real one refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from deployments.domain.errors import Broken, NotFound, Refused
from deployments.domain.ports import ProvisionedResource, ResourceRequest

KINDS = ("directory", "port", "database")


@dataclass
class FakeProvisioner:
    """`created` and `removed` list keys whose effect really happened. Put ports into `busy` to have them skipped."""

    root: Path = Path("/fake/resources")
    created: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    busy: set[int] = field(default_factory=set)
    configurations: dict[str, dict[str, str]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    _resources: dict[str, ProvisionedResource] = field(default_factory=dict)

    def ensure(self, request: ResourceRequest) -> ProvisionedResource:
        """Make it unless it is there."""
        known = self.find(request)
        if known is not None:
            return known
        if request.kind not in KINDS:
            raise Refused(f"resource kind {request.kind!r} is unknown.", remedy=f"Use one of {', '.join(KINDS)}.")
        made = ProvisionedResource(request.key, request.kind, self._values(request), was_created=True)
        self._resources[request.key] = made
        self.created.append(request.key)
        return made

    def find(self, request: ResourceRequest) -> ProvisionedResource | None:
        """Look without making."""
        known = self._resources.get(request.key)
        return ProvisionedResource(known.key, known.kind, known.values, was_created=False) if known else None

    def remove(self, request: ResourceRequest) -> None:
        """Remove it; one that is not there is fine."""
        if self._resources.pop(request.key, None) is not None:
            self.removed.append(request.key)
            self.release_port(request.key)

    def free_port(self, key: str) -> int:
        """The lowest free one from 20000; the same key keeps its port."""
        if key in self.ports:
            return self.ports[key]
        taken = self.busy | set(self.ports.values())
        port = next((candidate for candidate in range(20000, 30000) if candidate not in taken), None)
        if port is None:
            raise Broken("no port is free between 20000 and 29999.", remedy="Stop something that listens there.")
        self.ports[key] = port
        return port

    def release_port(self, key: str) -> None:
        """Give it back."""
        self.ports.pop(key, None)

    def write_configuration(self, key: str, files: Mapping[str, str]) -> Path:
        """Remember the files."""
        for name in files:
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise Refused(f"configuration file {name!r} leaves its directory.", remedy="Use a relative name.")
        self.configurations[key] = dict(files)
        return self.root / "configuration" / key

    def remove_configuration(self, key: str) -> None:
        """Forget the files."""
        self.configurations.pop(key, None)

    def configuration(self, key: str) -> Mapping[str, str]:
        """The files written for a key."""
        if key not in self.configurations:
            raise NotFound(f"no configuration was written for {key}.")
        return self.configurations[key]

    def _values(self, request: ResourceRequest) -> Mapping[str, str]:
        if request.kind == "port":
            return {"port": str(self.free_port(request.key))}
        if request.kind == "database":
            return {"url": f"postgresql://postgres@localhost/{request.key}", "name": request.key}
        return {"path": str(self.root / request.key)}
