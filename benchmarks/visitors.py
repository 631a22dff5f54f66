"""The load's process as a benchmark holds it, and what its requests add up to."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from subprocess import PIPE
from urllib.parse import urlsplit

from benchmarks.house import ROOT

END_PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class Visit:
    """One request. Times are seconds since 1970; `status` is 0 where no complete answer came."""

    way: str
    due: float
    sent: float
    done: float
    status: int
    told: str

    @property
    def is_dropped(self) -> bool:
        """Whether the visitor got no good answer."""
        return self.status != 200

    @property
    def seconds(self) -> float:
        """From when it was due to its answer."""
        return self.done - self.due


class Visitors:
    """A load that is running."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.visits: list[Visit] = []
        """Complete after `leave`."""

    def leave(self) -> list[Visit]:
        """End the load; every request of it."""
        told, _ = self._process.communicate(timeout=END_PATIENCE)
        if self._process.returncode:
            raise ChildProcessError(f"the load ended with exit code {self._process.returncode}")
        self.visits = [Visit(*each) for each in json.loads(told)]
        return self.visits


@contextmanager
def visitors(url: str, *, rate: float) -> Iterator[Visitors]:
    """A load on the address, ended whatever happens. Ctrl-C in the terminal is not for it."""
    address = urlsplit(url)
    command = [sys.executable, "-m", "benchmarks.load", str(address.hostname), str(address.port), f"{rate:g}"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=PIPE, stdout=PIPE, text=True, start_new_session=True)
    try:
        time.sleep(2.0)  # until it has found its pace; nothing of that time is counted
        yield Visitors(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()


def between(visits: Sequence[Visit], spans: Sequence[tuple[float, float]]) -> list[Visit]:
    """Those that were due within one of the spans."""
    return [visit for visit in visits if any(began <= visit.due < ended for began, ended in spans)]


def tell_worst(visits: Sequence[Visit], *, most: int = 5) -> list[str]:
    """What became of the first requests that are in no good order, for people; nothing when all are."""
    shown = [
        f"{visit.way} {visit.status or 'no answer'} after {visit.seconds:.2f} s ({visit.told})" for visit in visits
    ]
    return [f"Dropped: {'; '.join(shown[:most])}{' and more' if len(shown) > most else ''}."] if shown else []
