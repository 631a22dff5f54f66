"""Where a service's code comes from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from deployments.domain.spec.model import GIT_REFERENCE, SHA256, FilePath, Part, Word


class PathSource(Part):
    """A directory on this machine."""

    kind: Literal["path"] = "path"
    """Says that this is a directory."""
    path: FilePath
    """The directory: absolute, or relative to the specification's file and below it."""


class GitSource(Part):
    """A git repository at a branch, tag or commit."""

    kind: Literal["git"] = "git"
    """Says that this is a git repository."""
    url: FilePath
    """Address of the repository, or its directory. It holds no password: the address is recorded."""
    ref: Annotated[str, StringConstraints(pattern=GIT_REFERENCE, max_length=200)] = "HEAD"
    """Branch, tag or commit. Resolved to a commit before anything is built."""


class PypiSource(Part):
    """A package from the configured package index or wheelhouse."""

    kind: Literal["pypi"] = "pypi"
    """Says that this is a Python package."""
    requirement: Word
    """One requirement, for instance `datasette==0.65.1`. Resolved to exact versions with hashes before it is built."""
    extra_requirements: tuple[Word, ...] = Field(default=(), alias="with", max_length=200)
    """Further requirements installed beside it."""


class ArchiveSource(Part):
    """A tar or zip archive on this machine, with the digest it must have."""

    kind: Literal["archive"] = "archive"
    """Says that this is an archive."""
    path: FilePath
    """The archive: absolute, or relative to the specification's file and below it."""
    sha256: Annotated[str, StringConstraints(pattern=SHA256)]
    """Digest of the archive; another content is refused."""


Source = Annotated[PathSource | GitSource | PypiSource | ArchiveSource, Field(discriminator="kind")]
