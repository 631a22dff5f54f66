"""Directories of rendered configuration: complete or not there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from deployments.domain.errors import Refused


def write_directory(target: Path, files: Mapping[str, str]) -> None:
    """Make `target` hold exactly these files. Written aside first: a reader never sees half of it.

    Where the directory was there with other files, it is away for an instant between two renames; a writer that is
    killed then leaves none, and writing again makes it.
    """
    for name in files:
        _require_inside(name)
    if target.is_dir() and _read_directory(target) == dict(files):
        return
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=target.parent))
    try:
        whole = draft / "new"
        whole.mkdir(mode=0o700)
        for name, text in files.items():
            _write_private(whole / name, text)
        if target.exists():
            target.rename(draft / "old")
        whole.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _require_inside(name: str) -> None:
    pure = PurePosixPath(name)
    if not pure.parts or pure.is_absolute() or ".." in pure.parts or "\0" in name:
        raise Refused(f"configuration file {name!r} leaves its directory.", remedy="Use a relative name.")


def _read_directory(directory: Path) -> dict[str, str]:
    found = {}
    for path in directory.rglob("*"):
        if path.is_file():
            found[path.relative_to(directory).as_posix()] = path.read_bytes().decode(errors="replace")
    return found


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text.encode())
