"""Sources and versions that mean one thing and lead nowhere else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from packaging.requirements import InvalidRequirement, Requirement

from deployments.domain.spec.problems import Finding, Path
from deployments.domain.spec.service import Framework
from deployments.domain.spec.source import ArchiveSource, GitSource, PathSource, PypiSource
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.versions import InvalidVersion, parse_version

GIT_ADDRESS = re.compile(
    r"(?:https?|ssh|git|file)://[^\s]+|[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:[^\s:][^\s]*|/[^\0]*|\.?[^-:\s][^:]*"
)
PASSWORD = re.compile(r"://[^/@\s]*:[^/@\s]*@")


def versions(specification: DeploymentSpecification) -> Iterator[Finding]:
    """A version follows a grammar."""
    for index, service in enumerate(specification.services):
        try:
            parse_version(service.version)
        except InvalidVersion as error:
            yield Finding(("services", index, "version"), error.message, error.remedy or "")


def sources(specification: DeploymentSpecification) -> Iterator[Finding]:
    """Each kind of source by its own rules."""
    for index, service in enumerate(specification.services):
        path: Path = ("services", index, "source")
        match service.source:
            case PathSource() | ArchiveSource():
                yield from _path_below((*path, "path"), service.source.path)
            case GitSource():
                yield from _git(path, service.source)
            case PypiSource():
                yield from _requirement((*path, "requirement"), service.source.requirement)
                for place, text in enumerate(service.source.extra_requirements):
                    yield from _requirement((*path, "with", place), text)


def packages(specification: DeploymentSpecification) -> Iterator[Finding]:
    """A Python package is installed, never copied in part or served."""
    for index, service in enumerate(specification.services):
        if not isinstance(service.source, PypiSource):
            continue
        if service.framework is not Framework.PYTHON:
            message = f"A Python package cannot be run as `{service.framework}`."
            yield Finding(("services", index, "framework"), message, "Write `python`, or leave it out.")
        if service.output_directory is not None:
            message = "A Python package is installed as a whole."
            yield Finding(("services", index, "output_directory"), message, "Leave it out.")


def _path_below(path: Path, text: str) -> Iterator[Finding]:
    if ".." in PurePosixPath(text).parts:
        remedy = "Write an absolute path, or keep the specification's file above it."
        yield Finding(path, "It leaves the directory of the specification's file (`..`).", remedy)
    elif text.startswith("~"):
        yield Finding(path, "`~` is not expanded.", "Write an absolute path.")


def _git(path: Path, source: GitSource) -> Iterator[Finding]:
    if PASSWORD.search(source.url):
        remedy = "Leave the password out: git asks its credential helper."
        yield Finding((*path, "url"), "It holds a password, which would be recorded.", remedy)
    if not GIT_ADDRESS.fullmatch(source.url):
        remedy = "Write https://..., ssh://..., git@host:path or a directory."
        yield Finding((*path, "url"), "It is not the address of a git repository.", remedy)
    elif "://" not in source.url and "@" not in source.url:
        yield from _path_below((*path, "url"), source.url)
    if ".." in source.ref or source.ref.endswith((".lock", "/", ".")):
        yield Finding(
            (*path, "ref"), "It is not the name of a branch, tag or commit.", "Write a name or a full commit."
        )


def _requirement(path: Path, text: str) -> Iterator[Finding]:
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0]
        yield Finding(path, f"It is not a requirement: {reason}.", "Write it like `datasette==0.65.1`.")
        return
    if requirement.url:
        remedy = "Write name and version, or use a source of `kind: git` or `kind: archive`."
        yield Finding(path, "It points to an address, whose content has no recorded digest.", remedy)
