"""Fetches the third-party programs that demo and tests deploy into `.wheelhouse/`, so that builds need no network.

Each `requirements/programs/NAME.txt` pins one program with hashes. A file that was fetched before is not fetched again; wheels
appear whole or not at all, and two runs at once take turns.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from set_up import PYTHON, ROOT, clean_environment, one_at_a_time, say, stop

PROGRAMS = ROOT / "requirements" / "programs"
WHEELHOUSE = ROOT / ".wheelhouse"
FETCHED = WHEELHOUSE / ".fetched"


def main() -> None:
    """Fetch what is missing."""
    FETCHED.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(PROGRAMS):
        for requirements in sorted(PROGRAMS.glob("*.txt")):
            mark = FETCHED / f"{requirements.stem}-{digest(requirements)}"
            if not mark.exists():
                fetch(requirements)
                mark.touch()


def digest(requirements: Path) -> str:
    """Names one content of a requirements file."""
    return hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]


def fetch(requirements: Path) -> None:
    """Every wheel of one program, first beside the wheelhouse, then moved in."""
    say(f"Fetching {requirements.stem} into .wheelhouse.")
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=WHEELHOUSE))
    try:
        download(requirements, partial)
        for wheel in partial.iterdir():
            wheel.replace(WHEELHOUSE / wheel.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def download(requirements: Path, folder: Path) -> None:
    """By pip, which checks the hashes."""
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet", "download", "--no-deps"]
    command += ["--only-binary", ":all:", "--require-hashes", "--dest", str(folder), "--requirement", str(requirements)]
    if subprocess.run(command, env=clean_environment(), cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode:
        stop(f"{requirements.stem} was not fetched. Is the package index within reach? Run the same command again.")


if __name__ == "__main__":
    sys.exit(main())
