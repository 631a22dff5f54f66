"""The environment, read once into one frozen object. Nothing else in the business reads environment variables."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Self

from pydantic import SecretStr

from deployments.domain.errors import Refused

LONGEST_RUN_DIRECTORY = 60
"""Characters; the path of a socket within it must stay under 107."""


@dataclass(frozen=True, slots=True)
class Timings:
    """How long a silent controller keeps its rights. Each is shorter than the next, or one fires before its time."""

    renew: timedelta = timedelta(seconds=2)
    """Between renewals of the lease and of the dead man's handle."""
    lease: timedelta = timedelta(seconds=6)
    """How long the environment is a silent writer's."""
    takeover: timedelta = timedelta(seconds=15)
    """How long a deployment may be silent before another controller takes it over."""
    handle: timedelta = timedelta(seconds=30)
    """How long traffic may stay split without a controller before the proxy returns it by itself."""

    def __post_init__(self) -> None:
        """Raise Refused unless 0 < renew < lease < takeover < handle."""
        steps = [
            ("0", timedelta()),
            *((name, getattr(self, name)) for name in ("renew", "lease", "takeover", "handle")),
        ]
        for (shorter, less), (longer, more) in pairwise(steps):
            if not less < more:
                raise Refused(
                    f"FAIRLEAD_{longer.upper()}_SECONDS is {more.total_seconds():g}, which is not more than {shorter}"
                    f" ({less.total_seconds():g}).",
                    remedy="Choose renew < lease < takeover < handle, in seconds; the defaults are 2, 6, 15 and 30.",
                )

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """From FAIRLEAD_RENEW_SECONDS, FAIRLEAD_LEASE_SECONDS, FAIRLEAD_TAKEOVER_SECONDS, FAIRLEAD_HANDLE_SECONDS."""
        asked = {name: environ.get(f"FAIRLEAD_{name.upper()}_SECONDS") for name in cls.__slots__}
        return cls(**{name: _seconds(name, value) for name, value in asked.items() if value})


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says, with defaults filled in. Paths are absolute; none is created by reading."""

    home: Path
    """State: releases, configuration, logs, the embedded database. Kept."""
    run_directory: Path
    """Sockets. Short, private to the user, one for each home."""
    database_url: SecretStr | None = None
    """A PostgreSQL of the team's own; None: the embedded one."""
    wheelhouse: Path | None = None
    """Where builds find packages; None: the package index that the machine is configured with."""
    haproxy: Path | None = None
    """The HAProxy to run; None: the wheel's, else the one on PATH."""
    timings: Timings = Timings()

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """Read FAIRLEAD_HOME, FAIRLEAD_DATABASE_URL, FAIRLEAD_WHEELHOUSE, FAIRLEAD_HAPROXY and the timings.

        Raises Refused, naming the variable, when a value cannot be used.
        """
        home = _home(environ)
        url = environ.get("FAIRLEAD_DATABASE_URL", "").strip()
        return cls(
            home=home,
            run_directory=_run_directory(environ, home),
            database_url=SecretStr(url) if url else None,
            wheelhouse=_existing("FAIRLEAD_WHEELHOUSE", environ),
            haproxy=_existing("FAIRLEAD_HAPROXY", environ),
            timings=Timings.read(environ),
        )

    def ensure_directories(self) -> None:
        """Make home and run directory, private to the user. Raises Refused when one cannot be made, or is not ours."""
        ensure_private_directory(self.home)
        ensure_private_directory(self.run_directory)


def ensure_private_directory(path: Path) -> None:
    """Make a directory that only its user may change; one that another user made first is refused, not used."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise Refused(
            f"The directory {path} cannot be made: {error.strerror}.",
            remedy="Set FAIRLEAD_HOME to a directory that you may write to.",
        ) from error
    if found.st_uid != os.geteuid():
        raise Refused(
            f"The directory {path} belongs to another user (uid {found.st_uid}).",
            remedy="Remove it, or set FAIRLEAD_HOME to a directory of your own.",
        )
    if found.st_mode & 0o022:
        path.chmod(found.st_mode & 0o7755)


def _home(environ: Mapping[str, str]) -> Path:
    asked = environ.get("FAIRLEAD_HOME", "").strip()
    if asked:
        path = Path(asked).expanduser() if environ.get("HOME") else Path(asked)
        return path.absolute()
    state, home = environ.get("XDG_STATE_HOME", "").strip(), environ.get("HOME", "").strip()
    choices = [Path(state) / "fairlead"] if state else []
    choices += [Path(home) / ".local" / "state" / "fairlead"] if Path(home).is_dir() and home else []
    fallback = Path("/var/tmp") / f"fairlead-{os.geteuid()}"  # nosec B108
    return next((path for path in choices if path.is_absolute() and _can_be_made(path)), fallback)


def _can_be_made(path: Path) -> bool:
    """Whether its nearest existing ancestor may be written to."""
    there = next((parent for parent in (path, *path.parents) if parent.exists()), None)
    return there is not None and there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _run_directory(environ: Mapping[str, str], home: Path) -> Path:
    """Named by a digest of the home: two checkouts never share one, and it stays short whatever the home is called."""
    name = f"fairlead-{os.geteuid()}-{hashlib.sha256(os.fsencode(home)).hexdigest()[:10]}"
    runtime = environ.get("XDG_RUNTIME_DIR", "").strip()
    if runtime and Path(runtime).is_absolute() and _can_be_made(Path(runtime)):
        path = Path(runtime) / name
        if len(os.fsencode(path)) <= LONGEST_RUN_DIRECTORY:
            return path
    for place in ("/tmp", tempfile.gettempdir()):  # nosec B108
        if _can_be_made(Path(place)):
            return Path(place) / name
    return home / "run"


def _existing(variable: str, environ: Mapping[str, str]) -> Path | None:
    asked = environ.get(variable, "").strip()
    if not asked:
        return None
    path = Path(asked).absolute()
    if not path.exists():
        raise Refused(f"{variable} names {path}, which does not exist.", remedy=f"Correct it, or unset {variable}.")
    return path


def _seconds(name: str, value: str) -> timedelta:
    variable = f"FAIRLEAD_{name.upper()}_SECONDS"
    try:
        return timedelta(seconds=float(value))
    except (ValueError, OverflowError) as error:
        raise Refused(
            f"{variable} is {value!r}, which is not a number of seconds.", remedy="Write one like 6."
        ) from error
