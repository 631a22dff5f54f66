"""Builders for builder tests: small sources, wheels made by hand, requests that are valid by default."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from deployments.adapters.builder import LocalBuilder
from deployments.domain.ports import BuildRequest, SourceLock


def make_wheel(
    wheelhouse: Path, name: str, version: str, *, code: str = "", needs: tuple[str, ...] = (), script: str = ""
) -> Path:
    """A wheel with one module; `script` names a program that calls its `main`."""
    information = f"{name}-{version}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *(f"Requires-Dist: {n}" for n in needs)]
    files = {
        f"{name}.py": code,
        f"{information}/METADATA": "\n".join(metadata) + "\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if script:
        files[f"{information}/entry_points.txt"] = f"[console_scripts]\n{script} = {name}:main\n"
    digests = {path: hashlib.sha256(text.encode()).digest() for path, text in files.items()}
    record = [f"{path},sha256={base64.urlsafe_b64encode(d).rstrip(b'=').decode()}," for path, d in digests.items()]
    files[f"{information}/RECORD"] = "\n".join([*record, f"{information}/RECORD,,"]) + "\n"
    wheelhouse.mkdir(exist_ok=True)
    path = wheelhouse / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return path


def git(repository: Path, *arguments: str) -> str:
    """Run git as nobody in particular."""
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.invalid", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", "-C", str(repository), *identity, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(repository: Path, files: Mapping[str, str], message: str = "change") -> str:
    """Write files and commit them; the commit."""
    if not (repository / ".git").exists():
        repository.mkdir(parents=True, exist_ok=True)
        git(repository, "init", "--quiet")
    write(repository, files)
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", message)
    return git(repository, "rev-parse", "HEAD")


def write(directory: Path, files: Mapping[str, str]) -> Path:
    """Write text files below a directory."""
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    return directory


@dataclass
class Workshop:
    """A builder, its wheelhouse, and a place for sources."""

    directory: Path

    def __post_init__(self) -> None:
        self.wheelhouse = self.directory / "wheelhouse"
        self.wheelhouse.mkdir(parents=True)
        self.state = self.directory / "state"
        self.builder = LocalBuilder(self.state, wheelhouse=self.wheelhouse, environ={})

    def path_source(self, files: Mapping[str, str], name: str = "source") -> dict[str, str]:
        """A directory with these files, as a source."""
        return {"kind": "path", "path": str(write(self.directory / name, files))}

    def resolve(self, source: Mapping[str, str]) -> SourceLock:
        return self.builder.resolve(source, base=self.directory)

    def request(self, source: Mapping[str, str], **overrides: object) -> BuildRequest:
        """Resolved, framework `none` unless overridden; named by content and commands, as the planner does."""
        lock = self.resolve(source)
        request = BuildRequest(service="api", digest="", lock=lock, source=source, framework="none")
        request = replace(request, **overrides)  # type: ignore[arg-type]  # overrides are the test's business
        words = (lock.digest, request.framework, request.install_command, request.build_command)
        digest = hashlib.sha256(repr((*words, request.output_directory)).encode()).hexdigest()
        return replace(request, digest=digest)
