"""Resolves sources and builds each release once, on this machine."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from deployments.adapters.builder.commands import Surroundings, end_leftovers
from deployments.adapters.builder.git import GitSources
from deployments.adapters.builder.packages import PYTHON, Packages, find_uv
from deployments.adapters.builder.releases import Releases
from deployments.adapters.builder.sources import (
    ArchiveSource,
    GitSource,
    PathSource,
    PypiSource,
    SourceKind,
    changed,
    digest_with,
    lock_dependencies,
)
from deployments.adapters.builder.trees import size_of_tree
from deployments.adapters.disk_space import disk_full_named
from deployments.domain.errors import BuildFailed, Refused
from deployments.domain.ports import BuildRequest, BuiltRelease, SourceLock

PYTHON_FRAMEWORK = "python"
SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin"
STALE_SECONDS = 24 * 3600
WAIT_MARGIN_SECONDS = 60


class LocalBuilder:
    """Implements `deployments.domain.ports.Builder`.

    A source may carry `framework`: with `python`, what its requirements.txt or pyproject.toml asks for is part of the
    lock. It may carry `base`, the directory that relative paths start from when it is built.
    """

    def __init__(
        self,
        state_directory: Path,
        *,
        wheelhouse: Path | None = None,
        uv: Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """With a wheelhouse nothing else is asked for packages. `environ` says where the index and proxies are."""
        around = os.environ if environ is None else environ
        state_directory = state_directory.absolute()
        self._cache = state_directory / "cache"
        self._releases = Releases(state_directory)
        self._packages = Packages(uv or find_uv(), self._cache, wheelhouse, around)
        self._kinds: Mapping[str, SourceKind] = {
            "path": PathSource(state_directory),
            "git": GitSource(GitSources(self._cache / "git", around)),
            "pypi": PypiSource(self._packages),
            "archive": ArchiveSource(),
        }

    def resolve(self, source: Mapping[str, str], *, base: Path) -> SourceLock:
        """Resolve to a lock. Raises SourceUnavailable, or Refused when it does not exist or does not match."""
        with disk_full_named("resolving a source"):
            kind = self._kind(source)
            lock = kind.resolve(source, base)
            if source.get("framework") != PYTHON_FRAMEWORK or lock.kind == "pypi":
                return lock
            with self._temporary_directory() as directory:
                tree = directory / "tree"
                kind.lay_out(source, lock, base, tree)
                return lock_dependencies(lock, tree, self._packages)

    def ensure_built(self, request: BuildRequest) -> BuiltRelease:
        """Build once per digest, whoever asks and however often. Raises BuildFailed, DiskFull or Conflict."""
        found = self._releases.find(request.digest)
        if found is not None:
            return found
        seconds = request.timeout.total_seconds()
        with (
            disk_full_named(f"building {request.service}"),
            self._releases.held(request.digest, seconds + WAIT_MARGIN_SECONDS),
        ):
            return self._releases.find(request.digest) or self._build(request, time.monotonic() + seconds)

    def find(self, digest: str) -> BuiltRelease | None:
        """The release when it is complete on disk."""
        return self._releases.find(digest)

    def _build(self, request: BuildRequest, deadline: float) -> BuiltRelease:
        place = self._releases.place(request.digest)
        end_leftovers(str(place))
        self._releases.discard(request.digest)
        self._remove_stale()
        log = self._releases.log(request.digest)
        log.write_bytes(b"")
        try:
            self._fill(request, place, log, deadline)
        except BaseException:
            end_leftovers(str(place))
            self._releases.discard(request.digest)
            raise
        manifest = {
            "digest": request.digest,
            "service": request.service,
            "framework": request.framework,
            "kind": request.lock.kind,
            "reference": request.lock.reference,
            "packages": list(request.lock.entries),
            "python": PYTHON,
            "size_bytes": size_of_tree(place),
        }
        self._releases.complete(request.digest, manifest)
        built = self._releases.find(request.digest)
        assert built is not None
        return built

    def _fill(self, request: BuildRequest, place: Path, log: Path, deadline: float) -> None:
        """Lay the source out, install, build, keep what is asked for."""
        tree = place / ("build" if request.output_directory else "run")
        home = place / "home"
        home.mkdir(parents=True)
        kind, base = self._kind(request.source), Path(request.source.get("base", "/"))
        content = kind.lay_out(request.source, request.lock, base, tree)
        if digest_with(content, () if request.lock.kind == "pypi" else request.lock.entries) != request.lock.digest:
            raise changed(request.lock.reference)
        around = Surroundings(
            service=request.service,
            directory=tree,
            environment=self._packages.environment,
            log=log,
            deadline=deadline,
            mark=str(place),
            deployment=request.deployment,
        )
        venv = place / "venv"
        has_programs = request.framework == PYTHON_FRAMEWORK or request.lock.kind == "pypi"
        if has_programs:
            self._packages.make_environment(venv, around)
            self._install(request, venv, tree, around)
        self._run_commands(request, venv if has_programs else None, home, around)
        if request.output_directory:
            _keep_only(request, tree, place / "run")
        shutil.rmtree(home)

    def _install(self, request: BuildRequest, venv: Path, tree: Path, around: Surroundings) -> None:
        """The framework's own installation, unless an install command takes its place."""
        if request.install_command and request.lock.kind != "pypi":
            self._packages.install_pip(venv, around)
            return
        entries = request.lock.entries or lock_dependencies(request.lock, tree, self._packages).entries
        if entries:
            lock = venv / "requirements.lock"
            lock.write_text("\n".join(entries) + "\n", encoding="utf-8")
            self._packages.install(venv, lock, around)
        if (tree / "pyproject.toml").is_file() and request.lock.kind != "pypi":
            self._packages.install_project(venv, tree, around)

    def _run_commands(self, request: BuildRequest, venv: Path | None, home: Path, around: Surroundings) -> None:
        environment = {
            "PATH": f"{venv / 'bin'}:{SEARCH_PATH}" if venv else SEARCH_PATH,
            "HOME": str(home),
            "TMPDIR": str(home),
            "LANG": "C.UTF-8",
            **self._packages.sources,
            **({"VIRTUAL_ENV": str(venv)} if venv else {}),
        }
        own = replace(around, environment=environment)
        for command, purpose in (
            (request.install_command, "the install command"),
            (request.build_command, "the build command"),
        ):
            if command:
                own.run(command, purpose=purpose)

    def _kind(self, source: Mapping[str, str]) -> SourceKind:
        name = source.get("kind", "")
        kind = self._kinds.get(name)
        if kind is None:
            raise Refused(f"source kind {name!r} is unknown.", remedy=f"Use one of {', '.join(self._kinds)}.")
        for key in kind.required:
            if not source.get(key):
                raise Refused(f"source of kind {name} has no {key}.", remedy=f"Add {key} to the source.")
        return kind

    @contextmanager
    def _temporary_directory(self) -> Iterator[Path]:
        parent = self._cache / "temporary"
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=parent) as directory:
            yield Path(directory)

    def _remove_stale(self) -> None:
        """Temporary directories of processes that were killed."""
        for directory in (self._cache / "temporary").glob("*"):
            try:
                is_stale = time.time() - directory.stat().st_mtime > STALE_SECONDS
            except FileNotFoundError:
                continue
            if is_stale:
                shutil.rmtree(directory, ignore_errors=True)


def _keep_only(request: BuildRequest, tree: Path, run: Path) -> None:
    """Keep the output directory as what runs."""
    output = (tree / (request.output_directory or ".")).resolve()
    if not output.is_relative_to(tree.resolve()) or not output.is_dir():
        raise BuildFailed(
            f"{request.service}: the build left no directory {request.output_directory}.",
            remedy="Correct output_directory, or the build command.",
            service=request.service,
        )
    output.rename(run)
    shutil.rmtree(tree, ignore_errors=True)
