"""Fetches the third-party programs that demo and tests deploy into `.wheelhouse/`, so that builds need no network.

Each `requirements/programs/NAME.txt` pins one program with hashes. A file that was fetched before is not fetched again;
wheels appear whole or not at all, and two runs at once take turns.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from set_up import PYTHON, ROOT, one_at_a_time, run, say, stop

PROGRAMS = ROOT / "requirements" / "programs"
WHEELHOUSE = ROOT / ".wheelhouse"
FETCHED = WHEELHOUSE / ".fetched"


def main() -> None:
    """Fetch what is missing, and drop what no requirements file names any more."""
    FETCHED.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(PROGRAMS):
        wanted = {mark_of(requirements): requirements for requirements in sorted(PROGRAMS.glob("*.txt"))}
        for mark, requirements in wanted.items():
            if not mark.exists():
                mark.write_text("\n".join(fetch(requirements)))
        prune(set(wanted))


def mark_of(requirements: Path) -> Path:
    """The note that this content of this file was fetched; it lists the wheels."""
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    return FETCHED / f"{requirements.stem}-{digest[:16]}"


def fetch(requirements: Path) -> list[str]:
    """Every wheel of one program, first beside the wheelhouse, then moved in; returns their names."""
    say(f"Fetching {requirements.stem} into .wheelhouse.")
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=WHEELHOUSE))
    try:
        download(requirements, partial)
        names = sorted(wheel.name for wheel in partial.iterdir())
        for name in names:
            (partial / name).replace(WHEELHOUSE / name)
        return names
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def download(requirements: Path, folder: Path) -> None:
    """By pip, which checks the hashes."""
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input", "-qq"]
    wheels = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", str(requirements)]
    run(
        [*pip, "download", *wheels, "--dest", str(folder)],
        failed=f"{requirements.stem} was not fetched. Is the package index within reach? Run the same command again.",
    )


def prune(marks: set[Path]) -> None:
    """An unpinned requirement must find here what it finds in a fresh checkout, and nothing older."""
    kept = {name for mark in marks for name in mark.read_text().split()}
    for wheel in WHEELHOUSE.glob("*.whl"):
        if wheel.name not in kept:
            wheel.unlink()
    for mark in set(FETCHED.iterdir()) - marks:
        mark.unlink()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        stop("Interrupted; run the same command again.")
