"""Makes the checkout's virtual environment, or finds that it is already right.

Standard library only: it runs before anything is installed. pip itself comes with the checkout (tools/bootstrap), so a
Python without ensurepip and without pip is enough. Run it through `make setup`.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
STAMP = ENVIRONMENT / "fairlead-setup.json"
REQUIREMENTS = (ROOT / "requirements" / "runtime.txt", ROOT / "requirements" / "dev.txt")
PIP = ROOT / "tools" / "bootstrap" / "pip-26.3-py3-none-any.whl"
PIP_SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"
OLDEST_GLIBC = (2, 28)
NEEDED_MODULES = ("venv", "_ctypes", "_lzma", "_sqlite3", "_ssl", "zlib")
# Settings of a person's own pip or Python that would send the installation somewhere else.
MISLEADING = (
    "PIP_CONSTRAINT",
    "PIP_NO_BINARY",
    "PIP_PREFIX",
    "PIP_REQUIRE_VIRTUALENV",
    "PIP_ROOT",
    "PIP_TARGET",
    "PIP_USER",
    "PYTHONHOME",
    "PYTHONPATH",
    "VIRTUAL_ENV",
)


def main() -> None:
    """Leave a complete environment behind, or one line that says what is missing."""
    refuse_unsuitable_machine()
    with one_at_a_time(ROOT / "requirements"):
        made, wanted = stamp(), wanted_stamp()
        if made == wanted and PYTHON.exists():
            return
        if made and PYTHON.exists() and made["interpreter"] == wanted["interpreter"]:
            update(wanted)
        else:
            create(wanted)
        say("Ready: .venv/bin/fairlead doctor tells what this machine has.")


def refuse_unsuitable_machine() -> None:
    """The wheels are for glibc, and the environment needs parts of Python that some systems package apart."""
    library = c_library()
    if not library.startswith("glibc ") or version(library) < OLDEST_GLIBC:
        stop(f"Fairlead needs glibc {'.'.join(map(str, OLDEST_GLIBC))} or newer; this machine has {library}.")
    missing = [name for name in NEEDED_MODULES if importlib.util.find_spec(name) is None]
    if missing:
        stop(f"Fairlead needs a complete Python 3.11; {sys.executable} lacks {', '.join(missing)}.")


def c_library() -> str:
    """`glibc 2.36`, or that it is something else: musl does not know the question."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or "another C library"
    except ValueError:
        return "another C library"


def version(library: str) -> tuple[int, ...]:
    """The numbers in `glibc 2.36`."""
    return tuple(int(part) for part in library.split()[1].split(".")[:2] if part.isdigit())


def stamp() -> dict[str, str] | None:
    """What the environment was made from, if it was ever finished."""
    try:
        return dict(json.loads(STAMP.read_text()))
    except (OSError, ValueError):
        return None


def wanted_stamp() -> dict[str, str]:
    """What the environment must be made from: this interpreter, at this path, with these requirements."""
    base = Path(sys.base_prefix).resolve()
    return {"interpreter": f"{ENVIRONMENT} from {base} {sys.version}", "requirements": requirements_digest()}


def requirements_digest() -> str:
    """Of everything that decides what gets installed; the settings of lint and tests do not."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    decides = [project["build-system"], project["project"], project["tool"]["hatch"]]
    digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode())
    for file in (*REQUIREMENTS, Path(__file__)):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def create(wanted: dict[str, str]) -> None:
    """From nothing. What a set-up that was interrupted left behind is thrown away."""
    say(f"Making .venv with Python {sys.version.split()[0]}; this takes about a minute.")
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    venv = [sys.executable, "-m", "venv", "--without-pip", str(ENVIRONMENT)]
    run(venv, failed="The virtual environment was not made.")
    install_pip()
    install(wanted)


def update(wanted: dict[str, str]) -> None:
    """In place, so that what runs from it keeps running; from nothing where that leaves a contradiction."""
    say("The requirements changed: updating .venv.")
    STAMP.unlink()
    try:
        install(wanted)
    except SystemExit:
        create(wanted)


def install_pip() -> None:
    """From the wheel in the checkout, run from inside itself as ensurepip does."""
    if hashlib.sha256(PIP.read_bytes()).hexdigest() != PIP_SHA256:
        stop(f"{PIP.relative_to(ROOT)} is damaged; restore it: git checkout -- {PIP.parent.relative_to(ROOT)}")
    run(
        [str(PYTHON), str(PIP / "pip"), "install", "--quiet", "--no-index", "--no-deps", str(PIP)],
        failed="pip was not installed.",
    )


def install(wanted: dict[str, str]) -> None:
    """The locked packages, then the checkout itself, then pip's own check; the stamp comes last."""
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input", "-qq"]
    locked = [argument for file in REQUIREMENTS for argument in ("--requirement", str(file))]
    run(
        [*pip, "install", "--no-deps", "--only-binary", ":all:", "--require-hashes", *locked],
        failed="The packages were not installed. Is the package index within reach? Run `make setup` again.",
    )
    itself = ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
    run([*pip, "install", *itself], failed="Fairlead itself was not installed.")
    run([*pip, "check"], failed="The installed packages contradict one another.")
    STAMP.write_text(json.dumps(wanted, indent=2) + "\n")


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Two set-ups of one checkout take turns; the second finds the first one's work done."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def run(command: list[str], *, failed: str) -> None:
    """Run to the end, or stop with one line after the command's own words."""
    if subprocess.run(command, env=clean_environment(), cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode:
        stop(failed)


def clean_environment() -> dict[str, str]:
    """The caller's, without what misleads pip, and with a home to write caches to."""
    environment = {name: value for name, value in os.environ.items() if name not in MISLEADING}
    home = environment.get("HOME", "")
    if not home or not os.access(home, os.W_OK):
        substitute = ROOT / ".cache" / "home"
        substitute.mkdir(parents=True, exist_ok=True)
        environment["HOME"] = str(substitute)
    return environment


def say(line: str) -> None:
    """One line of progress."""
    print(line, flush=True)


def stop(line: str) -> None:
    """One line, and a failing exit."""
    raise SystemExit(line)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        stop("Interrupted; run `make setup` again.")
