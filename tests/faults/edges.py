"""Prefect's edges, as rows of the matrix: each test of them, for each kind of deployment, with the real server.

`python -m tests.faults.edges` runs them alone. They are tests, so pytest runs them, in a process of its own; what it
writes of them is read here.
"""

from __future__ import annotations

import argparse
import ast
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "tests" / "flows" / "test_edges.py"
KINDS = ("blue_green", "rolling", "recreate", "rollback", "first")
NOT_RUN, LEFT_OUT = "not run", "left out: "
PATIENCE_SECONDS = 120.0
"""For the tests to stop what they started, once they are told to."""
MINUTES = 58.0
SAID = {
    "sigterm": "SIGTERM",
    "sigkill": "SIGKILL",
    "prefects": "Prefect's",
    "in prefect": "in Prefect",
    "flow runs process": "flow run's process",
}


@dataclass(frozen=True, slots=True)
class Edge:
    """What is done to a deployment, in words, and how that ended for each kind: `ok`, `wrong: ...`, `not run`, or
    `left out: ...` with the reason why it makes no sense."""

    words: str
    ends: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def end(self, kind: str) -> str:
        """Of one kind."""
        return self.ends.get(kind, NOT_RUN)

    @property
    def is_good(self) -> bool:
        """Whether each kind is right, or left out with a reason."""
        return all(self.end(kind) == "ok" or self.end(kind).startswith(LEFT_OUT) for kind in KINDS)


class Running:
    """The tests of the edges, under way."""

    def __init__(self, folder: Path) -> None:
        """`folder` takes what pytest writes."""
        self._report = folder / "edges.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-m", "faults or not faults", str(FILE)]
        with (folder / "edges.log").open("wb") as output:
            self._process = subprocess.Popen(
                [*command, f"--junitxml={self._report}"],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # whoever interrupts the matrix does so once
            )

    def result(self, *, until: float) -> list[Edge]:
        """Once they have ended; those that time did not allow are left as not run."""
        try:
            self._process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.stop()
        text = self._report.read_text(encoding="utf-8") if self._report.exists() else "<testsuites/>"
        return parse(text, names())

    def stop(self) -> None:
        """Have them stop what they started."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def started() -> Iterator[Running]:
    """The tests, begun; ended, whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix="fl-e-", dir="/tmp"))
    try:
        running = Running(folder)
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def names() -> list[str]:
    """The tests in the file, in its order."""
    tree = ast.parse(FILE.read_text(encoding="utf-8"))
    return [one.name for one in tree.body if isinstance(one, ast.FunctionDef) and one.name.startswith("test_")]


def parse(text: str, tests: Sequence[str]) -> list[Edge]:
    """A row for each test, from what pytest wrote."""
    ends: dict[str, dict[str, str]] = {test: {} for test in tests}
    seconds = dict.fromkeys(tests, 0.0)
    for case in ElementTree.fromstring(text).iter("testcase"):
        test, _, kind = case.get("name", "").rstrip("]").partition("[")
        if test in ends and ends[test].get(kind, "ok") == "ok":  # a test whose teardown fails is told of twice
            ends[test][kind] = end_of(case)
            seconds[test] += float(case.get("time", 0))
    return [Edge(in_words(test), ends[test], seconds[test]) for test in tests]


def end_of(case: ElementTree.Element) -> str:
    """How one test ended."""
    for found in case:
        message = next(iter((found.get("message") or "").splitlines()), "") or "no message"
        if found.tag == "skipped":
            return LEFT_OUT + message
        if found.tag in ("failure", "error"):
            return f"wrong: {message}"
    return "ok"


def in_words(test: str) -> str:
    """The name of a test, as it is said."""
    words = test.removeprefix("test_").replace("_", " ")
    for written, said in SAID.items():
        words = words.replace(written, said)
    return words


def main(arguments: Sequence[str]) -> int:
    """0 when every edge is as it must be, for every kind."""
    from tests.faults.table import edge_complaints, edge_table

    parser = argparse.ArgumentParser(prog="python -m tests.faults.edges", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=MINUTES, help="end those that are under way after this time")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with started() as running:
        edges = running.result(until=began + options.minutes * 60)
    minutes = (time.monotonic() - began) / 60
    sys.stdout.write("\n".join([*edge_table(edges), "", f"{minutes:.1f} minutes.", *edge_complaints(edges)]) + "\n")
    return 0 if all(edge.is_good for edge in edges) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
