"""Where a service's code comes from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from deployments.domain.spec.model import Part, Word


class PathSource(Part):
    """A directory on this machine, relative to the specification's file."""

    kind: Literal["path"] = "path"
    path: Word


class GitSource(Part):
    """A git repository at a branch, tag or commit."""

    kind: Literal["git"] = "git"
    url: Word
    ref: Word = "HEAD"


class PypiSource(Part):
    """A package from the configured package index or wheelhouse."""

    kind: Literal["pypi"] = "pypi"
    requirement: Word
    """One requirement, for instance `datasette==0.65.1`."""
    extra_requirements: tuple[Word, ...] = Field(default=(), alias="with")
    """Further requirements installed beside it."""


class ArchiveSource(Part):
    """A tar or zip archive on this machine, with the digest it must have."""

    kind: Literal["archive"] = "archive"
    path: Word
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


Source = Annotated[PathSource | GitSource | PypiSource | ArchiveSource, Field(discriminator="kind")]
