"""Python packages through uv: requirements become a lock with hashes, a lock becomes a virtual environment."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deployments.adapters.builder.commands import Surroundings
from deployments.adapters.supervisor.records import write_atomically
from deployments.domain.errors import Refused, SourceUnavailable

RESOLVE_SECONDS = 300.0
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
NETWORK_TROUBLE = re.compile(
    r"error sending request|failed to fetch|dns error|connection (refused|reset)|timed out|status code: 5\d\d", re.I
)
NETWORK_VARIABLES = re.compile(
    r"UV_(DEFAULT_INDEX|INDEX\w*|EXTRA_INDEX\w*|HTTP_\w+)|SSL_CERT_\w+|(HTTPS?|ALL|NO)_PROXY", re.I
)


class Packages:
    """One uv, one cache, one place where packages come from."""

    def __init__(self, uv: Path, cache: Path, wheelhouse: Path | None, environ: Mapping[str, str]) -> None:
        """Without a wheelhouse packages come from the index that `environ` names (uv's or pip's), else from PyPI."""
        self._uv = uv
        self._cache = cache
        self._wheelhouse = wheelhouse.absolute() if wheelhouse else None
        self._environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(cache),
            "UV_CACHE_DIR": str(cache / "uv"),
            "UV_NO_CONFIG": "1",
            "UV_NO_PROGRESS": "1",
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_LINK_MODE": "hardlink",
            **_index_of(environ),
        }

    @property
    def environment(self) -> Mapping[str, str]:
        """For uv itself; it may hold the index's credentials, so build commands do not get it."""
        return self._environment

    @property
    def sources(self) -> Mapping[str, str]:
        """For build commands: pip and uv inside them take packages from the same wheelhouse."""
        if self._wheelhouse is None:
            return {}
        place = str(self._wheelhouse)
        return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": place, "UV_NO_INDEX": "1", "UV_FIND_LINKS": place}

    def lock(self, requirements: Sequence[str], *, what: str, directory: Path | None = None) -> tuple[str, ...]:
        """Resolve requirements, or requirement files in `directory`, to `name==version --hash=...` lines.

        Raises Refused when there is no solution, SourceUnavailable when the index does not answer.
        """
        known = self._cache / "locks" / f"{self._lock_key(requirements)}.json"
        if self._wheelhouse and directory is None and known.exists():
            return tuple(json.loads(known.read_text(encoding="utf-8")))
        entries = self._compile(requirements, what, directory)
        if self._wheelhouse and directory is None:
            known.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(known, json.dumps(entries))
        return entries

    def make_environment(self, venv: Path, surroundings: Surroundings) -> None:
        """An empty virtual environment of our own Python."""
        surroundings.run(
            [str(self._uv), "venv", "--quiet", "--no-project", "--python", _base_python(), str(venv)],
            purpose="making the virtual environment",
        )

    def install(self, venv: Path, lock: Path, surroundings: Surroundings) -> None:
        """Install exactly a lock."""
        arguments = ["--require-hashes", "--no-deps", "--compile-bytecode", "--requirements", str(lock)]
        surroundings.run(self._pip(venv, "install", *arguments), purpose="installing packages")

    def install_project(self, venv: Path, project: Path, surroundings: Surroundings) -> None:
        """Build and install a project from its directory, without its dependencies (they are in the lock)."""
        surroundings.run(self._pip(venv, "install", "--no-deps", str(project)), purpose="installing the project")

    def install_pip(self, venv: Path, surroundings: Surroundings) -> None:
        """For an install command that says `pip`."""
        surroundings.run(self._pip(venv, "install", "pip"), purpose="installing pip")

    def _pip(self, venv: Path, verb: str, *arguments: str) -> list[str]:
        python = str(venv / "bin" / "python")
        return [str(self._uv), "pip", verb, "--quiet", "--python", python, *self._from(), *arguments]

    def _compile(self, requirements: Sequence[str], what: str, directory: Path | None) -> tuple[str, ...]:
        command = [
            str(self._uv), "pip", "compile", "--quiet", "--generate-hashes", "--no-header", "--no-annotate",
            "--python", _base_python(), *self._from(), *(requirements if directory else ["-"]),
        ]  # fmt: skip
        self._cache.mkdir(parents=True, exist_ok=True)
        try:
            done = subprocess.run(
                command,
                input="" if directory else "\n".join(requirements),
                capture_output=True,
                text=True,
                errors="replace",
                cwd=directory or self._cache,
                env=self._environment,
                timeout=RESOLVE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise SourceUnavailable(f"{what} could not be resolved in {RESOLVE_SECONDS:.0f} s.") from error
        if done.returncode == 0:
            return _entries(done.stdout)
        tail = done.stderr.strip()[-2000:]
        if self._wheelhouse is None and NETWORK_TROUBLE.search(tail):
            raise SourceUnavailable(f"{what} could not be resolved, the package index did not answer:\n{tail}")
        place = f"the wheelhouse {self._wheelhouse}" if self._wheelhouse else "the package index"
        raise Refused(f"{what} cannot be resolved from {place}:\n{tail}", remedy="Correct the requirement.")

    def _from(self) -> list[str]:
        return ["--no-index", "--find-links", str(self._wheelhouse)] if self._wheelhouse else []

    def _lock_key(self, requirements: Sequence[str]) -> str:
        """Covers all that a lock from a wheelhouse depends on."""
        listing = []
        if self._wheelhouse:
            found = ((entry.name, entry.stat()) for entry in self._wheelhouse.glob("*.*") if entry.is_file())
            listing = sorted((name, status.st_size, status.st_mtime_ns) for name, status in found)
        return hashlib.sha256(repr((PYTHON, sys.platform, list(requirements), listing)).encode()).hexdigest()


def require_requirement(text: str) -> str:
    """A requirement and nothing else: no option, no file, no second line. Raises Refused."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9._, -]*\])?\s*([<>=!~;@][^\n\r]*)?", text):
        raise Refused(f"{text!r} is no requirement.", remedy="Write it like datasette==0.65.1.")
    return text


def find_uv() -> Path:
    """The uv of the wheel. Raises Refused when it is not installed."""
    try:
        from uv import find_uv_bin  # noqa: PLC0415 - a builder with a uv of its own does without the wheel

        return Path(find_uv_bin())
    except (ImportError, FileNotFoundError) as error:
        raise Refused("uv is not installed.", remedy="Install uv, which builds virtual environments.") from error


def _entries(output: str) -> tuple[str, ...]:
    joined = output.replace("\\\n", " ")
    return tuple(" ".join(line.split()) for line in joined.splitlines() if line.strip() and not line.startswith("#"))


def _base_python() -> str:
    """The interpreter below our own virtual environment."""
    return str(getattr(sys, "_base_executable", sys.executable))


def _index_of(environ: Mapping[str, str]) -> dict[str, str]:
    chosen = {name: value for name, value in environ.items() if NETWORK_VARIABLES.fullmatch(name)}
    if "PIP_INDEX_URL" in environ and not any(name.startswith("UV_") for name in chosen):
        chosen["UV_DEFAULT_INDEX"] = environ["PIP_INDEX_URL"]
    return chosen
