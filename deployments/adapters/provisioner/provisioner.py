"""Makes and removes what services need on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from deployments.adapters.disk_space import disk_full_named
from deployments.adapters.provisioner.configuration import write_directory
from deployments.adapters.provisioner.databases import Databases
from deployments.adapters.provisioner.naming import database_name, file_name
from deployments.adapters.provisioner.ports import PortBook
from deployments.domain.errors import Refused
from deployments.domain.ports import ProvisionedResource, ResourceRequest


class ResourceKind(Protocol):
    """One kind of resource, known by its key."""

    def ensure(self, request: ResourceRequest) -> bool:
        """Make it unless it is there; whether it was made."""

    def exists(self, request: ResourceRequest) -> bool:
        """Whether it is there."""

    def values(self, request: ResourceRequest) -> Mapping[str, str]:
        """What a service needs to use it."""

    def remove(self, request: ResourceRequest) -> None:
        """Remove it; one that is not there is fine."""


class DirectoryKind:
    """A directory that survives deployments."""

    def __init__(self, parent: Path) -> None:
        """`parent` holds all of them."""
        self._parent = parent

    def ensure(self, request: ResourceRequest) -> bool:
        """Private to the user."""
        if self.exists(request):
            return False
        self._path(request).mkdir(mode=0o700, parents=True, exist_ok=True)
        return True

    def exists(self, request: ResourceRequest) -> bool:
        """Whether it is there."""
        return self._path(request).is_dir()

    def values(self, request: ResourceRequest) -> Mapping[str, str]:
        """Its path."""
        return {"path": str(self._path(request))}

    def remove(self, request: ResourceRequest) -> None:
        """With everything in it."""
        shutil.rmtree(self._path(request), ignore_errors=True)

    def _path(self, request: ResourceRequest) -> Path:
        return self._parent / file_name(request.key)


class PortKind:
    """A port that is kept for one key."""

    def __init__(self, book: PortBook) -> None:
        """`book` has the reservations."""
        self._book = book

    def ensure(self, request: ResourceRequest) -> bool:
        """A port once given stays, also while the service listens on it."""
        if self.exists(request):
            return False
        self._book.reserve(request.key)
        return True

    def exists(self, request: ResourceRequest) -> bool:
        """Whether one is reserved."""
        return self._book.reserved(request.key) is not None

    def values(self, request: ResourceRequest) -> Mapping[str, str]:
        """Its number."""
        return {"port": str(self._book.reserved(request.key))}

    def remove(self, request: ResourceRequest) -> None:
        """Give it back."""
        self._book.release(request.key)


class DatabaseKind:
    """A PostgreSQL database; `url` is its address, `name` its name on the server."""

    def __init__(self, databases: Databases) -> None:
        """`databases` reaches the server."""
        self._databases = databases

    def ensure(self, request: ResourceRequest) -> bool:
        """Empty when made."""
        return self._databases.ensure(database_name(request.key))

    def exists(self, request: ResourceRequest) -> bool:
        """Whether it is there."""
        return self._databases.exists(database_name(request.key))

    def values(self, request: ResourceRequest) -> Mapping[str, str]:
        """Its address and name."""
        name = database_name(request.key)
        return {"url": self._databases.url(name), "name": name}

    def remove(self, request: ResourceRequest) -> None:
        """With everything in it."""
        self._databases.drop(database_name(request.key))


class LocalProvisioner:
    """Implements `deployments.domain.ports.Provisioner`."""

    def __init__(self, state_directory: Path, *, database_url: Callable[[], str]) -> None:
        """`database_url` returns the URL of any database on the server, starting it when that is ours."""
        state_directory = state_directory.absolute()
        self._ports = PortBook(state_directory)
        self._configuration = state_directory / "configuration"
        self._kinds: Mapping[str, ResourceKind] = {
            "directory": DirectoryKind(state_directory / "resources"),
            "port": PortKind(self._ports),
            "database": DatabaseKind(Databases(database_url)),
        }

    def ensure(self, request: ResourceRequest) -> ProvisionedResource:
        """Make it unless it is there. Raises DiskFull, DatabaseUnavailable, or Refused for an unknown kind."""
        kind = self._kind(request)
        with disk_full_named(f"making {request.kind} {request.name}"):
            was_created = kind.ensure(request)
        return ProvisionedResource(request.key, request.kind, kind.values(request), was_created=was_created)

    def find(self, request: ResourceRequest) -> ProvisionedResource | None:
        """Look without making."""
        kind = self._kind(request)
        if not kind.exists(request):
            return None
        return ProvisionedResource(request.key, request.kind, kind.values(request), was_created=False)

    def remove(self, request: ResourceRequest) -> None:
        """Remove it with everything in it; one that is not there is fine."""
        self._kind(request).remove(request)

    def free_port(self, key: str) -> int:
        """A port nobody listens on, reserved for `key` (the same one while it is free)."""
        with disk_full_named("reserving a port"):
            return self._ports.reserve(key)

    def release_port(self, key: str) -> None:
        """Give the port back."""
        self._ports.release(key)

    def write_configuration(self, key: str, files: Mapping[str, str]) -> Path:
        """Write files into a directory named by `key`, all or none; return the directory."""
        target = self._configuration / file_name(key)
        with disk_full_named("writing configuration"):
            write_directory(target, files)
        return target

    def remove_configuration(self, key: str) -> None:
        """Remove such a directory; one that is not there is fine."""
        shutil.rmtree(self._configuration / file_name(key), ignore_errors=True)

    def _kind(self, request: ResourceRequest) -> ResourceKind:
        kind = self._kinds.get(request.kind)
        if kind is None:
            raise Refused(f"resource kind {request.kind!r} is unknown.", remedy=f"Use one of {', '.join(self._kinds)}.")
        return kind
