"""Archives from outside, unpacked so that nothing is written or linked beyond the directory they are unpacked into."""

from __future__ import annotations

import os
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from deployments.domain.errors import Refused

MOST_MEMBERS = 200_000
MOST_BYTES = 8 * 1024**3


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of an archive, whichever its format. `link` is the target of a symbolic link."""

    name: str
    is_directory: bool
    is_executable: bool
    size: int
    link: str | None
    source: object


def unpack(archive: Path, target: Path) -> None:
    """Unpack a tar (plain, gz, bz2, xz) or zip. Raises Refused when it is neither, or when an entry is not safe."""
    target.mkdir(parents=True, exist_ok=True)
    root = target.resolve()
    try:
        with _opened(archive) as (members, read):
            _unpack_members(archive.name, members, read, root)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise Refused(f"archive {archive.name} cannot be read: {error}.", remedy="Make it again.") from error
    for path in root.rglob("*"):
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            raise _unsafe(archive.name, str(path.relative_to(root)), "links out of the archive")


def _unpack_members(archive: str, members: Iterator[Member], read: _Reader, root: Path) -> None:
    count = total = 0
    for member in members:
        count, total = count + 1, total + member.size
        if count > MOST_MEMBERS or total > MOST_BYTES:
            raise Refused(f"archive {archive} is too large: more than {MOST_MEMBERS} entries or {MOST_BYTES} bytes.")
        path = _safe_path(archive, member.name, root)
        if path == root:
            continue
        if member.is_directory:
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or path.is_file():
            path.unlink()
        if member.link is not None:
            _link(archive, member, path, root)
        else:
            with read.open(member) as source, path.open("wb") as copy:
                shutil.copyfileobj(source, copy)
            path.chmod(0o755 if member.is_executable else 0o644)


def _safe_path(archive: str, name: str, root: Path) -> Path:
    """Where an entry goes. Its real parent counts: an earlier entry may have made a link of it."""
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or "\0" in name:
        raise _unsafe(archive, name, "leaves the archive's directory")
    path = root / pure
    if path == root:
        return root
    real = path.parent.resolve() / path.name
    if not real.is_relative_to(root):
        raise _unsafe(archive, name, "leaves the archive's directory through a link")
    return real


def _link(archive: str, member: Member, path: Path, root: Path) -> None:
    target = member.link or ""
    if PurePosixPath(target).is_absolute() or not (path.parent / target).resolve().is_relative_to(root):
        raise _unsafe(archive, member.name, f"links to {target}")
    path.symlink_to(target)


def _unsafe(archive: str, name: str, why: str) -> Refused:
    return Refused(f"archive {archive} is not safe: {name!r} {why}.", remedy="Make an archive without such entries.")


class _Reader:
    """Opens the content of a member."""

    def __init__(self, archive: tarfile.TarFile | zipfile.ZipFile) -> None:
        self._archive = archive

    def open(self, member: Member) -> IO[bytes]:
        if isinstance(self._archive, zipfile.ZipFile):
            assert isinstance(member.source, zipfile.ZipInfo)
            return self._archive.open(member.source)
        assert isinstance(member.source, tarfile.TarInfo)
        try:
            content = self._archive.extractfile(member.source)
        except KeyError:  # a hard link to what is not in the archive
            content = None
        if content is None:
            raise Refused(f"archive entry {member.name!r} has no content.", remedy="Make the archive again.")
        return content


@contextmanager
def _opened(archive: Path) -> Iterator[tuple[Iterator[Member], _Reader]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            yield _zip_members(opened), _Reader(opened)
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as opened_tar:
            yield _tar_members(archive.name, opened_tar), _Reader(opened_tar)
    else:
        raise Refused(f"{archive.name} is neither a tar nor a zip archive.", remedy="Pack it as .tar.gz or .zip.")


def _zip_members(archive: zipfile.ZipFile) -> Iterator[Member]:
    for info in archive.infolist():
        mode = info.external_attr >> 16
        is_link = (mode & 0o170000) == 0o120000
        link = os.fsdecode(archive.read(info)) if is_link else None
        yield Member(info.filename, info.is_dir(), bool(mode & 0o100), info.file_size, link, info)


def _tar_members(name: str, archive: tarfile.TarFile) -> Iterator[Member]:
    for info in archive:
        if not (info.isfile() or info.isdir() or info.issym() or info.islnk()):
            raise _unsafe(name, info.name, "is a device or a pipe")
        link = info.linkname if info.issym() else None
        yield Member(info.name, info.isdir(), bool(info.mode & 0o100), info.size, link, info)
