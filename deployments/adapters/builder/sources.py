"""The kinds of sources: each resolves to a lock, and can be laid out in a directory with exactly that content."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from deployments.adapters.builder.archives import unpack
from deployments.adapters.builder.git import GitSources
from deployments.adapters.builder.packages import PYTHON, Packages, require_requirement
from deployments.adapters.builder.trees import copy_tree, digest_of_file, digest_of_tree
from deployments.domain.errors import Conflict, Refused
from deployments.domain.ports import SourceLock

REQUIREMENT_FILES = ("requirements.txt", "pyproject.toml")


class SourceKind(Protocol):
    """One kind of source. `base` is the directory that relative paths start from."""

    required: tuple[str, ...]

    def resolve(self, source: Mapping[str, str], base: Path) -> SourceLock:
        """Look at it and name its content."""

    def lay_out(self, source: Mapping[str, str], lock: SourceLock, base: Path, target: Path) -> str:
        """Write its files into `target`; the digest of what was written, which the caller compares with the lock."""


class PathSource:
    """A directory on this machine."""

    required: tuple[str, ...] = ("path",)

    def __init__(self, state_directory: Path) -> None:
        """`state_directory` must not be part of what is copied into it."""
        self._state_directory = state_directory

    def resolve(self, source: Mapping[str, str], base: Path) -> SourceLock:
        """Its digest is over the tree."""
        root = self._root(source, base)
        return SourceLock(kind="path", digest=digest_of_tree(root), reference=str(root))

    def lay_out(self, source: Mapping[str, str], lock: SourceLock, base: Path, target: Path) -> str:
        """Copy, and look at the copy: the directory may have changed since."""
        copy_tree(self._root(source, base), target)
        return digest_of_tree(target)

    def _root(self, source: Mapping[str, str], base: Path) -> Path:
        root = (base / source["path"]).resolve()
        if not root.is_dir():
            raise Refused(f"the source directory {root} does not exist.", remedy="Correct the source's path.")
        if self._state_directory.is_relative_to(root):
            raise Refused(
                f"the source directory {root} contains Fairlead's own state, {self._state_directory}.",
                remedy="Set FAIRLEAD_HOME to a directory outside of it.",
            )
        return root


class GitSource:
    """A git repository at a branch, tag or commit."""

    required: tuple[str, ...] = ("url", "ref")

    def __init__(self, repositories: GitSources) -> None:
        """`repositories` keeps what was fetched."""
        self._repositories = repositories

    def resolve(self, source: Mapping[str, str], base: Path) -> SourceLock:
        """Its digest is over the commit's tree, so commits with equal trees are one content."""
        commit, digest = self._repositories.resolve(source["url"], source["ref"], base=base)
        return SourceLock(kind="git", digest=digest, reference=commit)

    def lay_out(self, source: Mapping[str, str], lock: SourceLock, base: Path, target: Path) -> str:
        """The commit that was resolved, whatever the branch is now."""
        return self._repositories.export(source["url"], lock.reference, target, base=base)


class ArchiveSource:
    """A tar or zip with the digest it must have."""

    required: tuple[str, ...] = ("path", "sha256")

    def resolve(self, source: Mapping[str, str], base: Path) -> SourceLock:
        """Its digest is the archive's own. Raises Refused when the file has another."""
        archive = (base / source["path"]).resolve()
        if not archive.is_file():
            raise Refused(f"the archive {archive} does not exist.", remedy="Correct the source's path.")
        found, wanted = digest_of_file(archive), source["sha256"].lower()
        if found != wanted:
            raise Refused(
                f"the archive {archive} has sha256 {found} and not {wanted}.",
                remedy="Correct the source's sha256, or fetch the archive again.",
            )
        return SourceLock(kind="archive", digest=found, reference=str(archive))

    def lay_out(self, source: Mapping[str, str], lock: SourceLock, base: Path, target: Path) -> str:
        """Unpack a copy whose digest was compared."""
        with tempfile.TemporaryDirectory(dir=target.parent) as directory:
            copied = Path(directory) / Path(source["path"]).name
            try:
                shutil.copyfile(base / source["path"], copied)
            except FileNotFoundError as error:
                raise changed(source["path"]) from error
            found = digest_of_file(copied)
            if found != source["sha256"].lower():
                raise changed(source["path"])
            unpack(copied, target)
        return found


class PypiSource:
    """A Python package; `with` names further requirements, separated by spaces."""

    required: tuple[str, ...] = ("requirement",)

    def __init__(self, packages: Packages) -> None:
        """`packages` resolves and installs."""
        self._packages = packages

    def resolve(self, source: Mapping[str, str], base: Path) -> SourceLock:
        """Its digest is over the exact versions and hashes, and the Python they were resolved for."""
        requirements = [
            require_requirement(text) for text in (source["requirement"], *source.get("with", "").splitlines())
        ]
        entries = self._packages.lock(requirements, what=" ".join(requirements))
        digest = hashlib.sha256("\n".join([PYTHON, *sorted(entries)]).encode()).hexdigest()
        return SourceLock(kind="pypi", digest=digest, entries=entries, reference=source["requirement"])

    def lay_out(self, source: Mapping[str, str], lock: SourceLock, base: Path, target: Path) -> str:
        """It has no files of its own: everything is in the virtual environment."""
        target.mkdir(parents=True, exist_ok=True)
        return lock.digest


def lock_dependencies(lock: SourceLock, tree: Path, packages: Packages) -> SourceLock:
    """The lock of a Python project with what its requirement file asks for, exact and with hashes."""
    name = next((name for name in REQUIREMENT_FILES if (tree / name).is_file()), None)
    if name is None:
        return lock
    entries = packages.lock([name], what=f"{name} of {lock.reference}", directory=tree)
    return replace(lock, digest=digest_with(lock.digest, entries), entries=entries)


def digest_with(tree: str, entries: Sequence[str]) -> str:
    """The digest of a tree and of the packages it needs; without packages, the tree's."""
    if not entries:
        return tree
    return hashlib.sha256("\n".join([tree, PYTHON, *sorted(entries)]).encode()).hexdigest()


def changed(path: str) -> Conflict:
    return Conflict(f"the source {path} changed since it was resolved.", remedy="Deploy again.")
