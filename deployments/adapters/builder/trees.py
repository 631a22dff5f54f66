"""A directory as content: what its digest covers is exactly what is copied."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

IGNORED = frozenset({".git", "__pycache__", ".venv", ".fairlead"})
CHUNK_BYTES = 1024 * 1024


def digest_of_tree(root: Path) -> str:
    """sha256 over sorted relative names, kinds, the executable bit and contents. Times and owners do not count."""
    total = hashlib.sha256()
    for path in walk(root):
        name = path.relative_to(root).as_posix()
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            kind, content = "link", str(path.readlink())
        elif stat.S_ISDIR(mode):
            kind, content = "directory", ""
        else:
            kind, content = "program" if mode & stat.S_IXUSR else "file", digest_of_file(path)
        total.update(repr((name, kind, content)).encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def walk(root: Path) -> Iterator[Path]:
    """Everything below that counts, sorted; links are not followed, sockets and devices are left out."""
    for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
        if entry.name in IGNORED:
            continue
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield path
            yield from walk(path)
        elif entry.is_symlink() or entry.is_file(follow_symlinks=False):
            yield path


def copy_tree(root: Path, target: Path) -> None:
    """Copy what counts into `target`."""
    target.mkdir(parents=True, exist_ok=True)
    for path in walk(root):
        copied = target / path.relative_to(root)
        if path.is_symlink():
            copied.symlink_to(path.readlink())
        elif path.is_dir():
            copied.mkdir()
        else:
            shutil.copy2(path, copied)


def digest_of_file(path: Path) -> str:
    """sha256 of a file's content."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            total.update(chunk)
    return total.hexdigest()


def size_of_tree(root: Path) -> int:
    """Bytes in its files."""
    return sum((Path(directory) / name).lstat().st_size for directory, _names, files in os.walk(root) for name in files)
