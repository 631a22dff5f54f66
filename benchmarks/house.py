"""A home for one benchmark: Fairlead as a user has it, removed at the end with everything that runs in it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from deployments.assembly import control_plane, data_plane
from deployments.domain.events import DeploymentEvent
from deployments.settings import Settings
from deployments.store.records import Records

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 600.0
TAKEN_BACK = 6
"""The exit code of `fairlead deploy` when a release failed and was taken back."""


class CommandFailed(Exception):
    """A command of Fairlead ended otherwise than the benchmark needs."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """One deployment; times in seconds since 1970, as Prefect has them for the flow run."""

    id: str
    began: float
    ended: float
    routes: Mapping[str, str]

    @property
    def seconds(self) -> float:
        """From the start of the flow to its end."""
        return self.ended - self.began


class House:
    """Runs `fairlead` in a home under /tmp, short enough for sockets, with what is served in `source`."""

    def __init__(self) -> None:
        """The home is made; nothing runs."""
        directory = "/tmp" if os.access("/tmp", os.W_OK) else None
        self.home = Path(tempfile.mkdtemp(prefix="fl-bench-", dir=directory))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FAIRLEAD_", "PREFECT_"))}
        self.environment = {**kept, "FAIRLEAD_HOME": str(self.home)}
        self.settings = Settings.read(self.environment)
        self.plane = control_plane(self.settings)
        self.source = self.home / "source"
        self.source.mkdir()
        shutil.copy(Path(__file__).with_name("served.py"), self.source)

    def run(self, *words: str, expect: Sequence[int] = (0,)) -> str:
        """What `fairlead` prints. Raises CommandFailed for an exit code that is not expected."""
        done = subprocess.run(
            command(*words),
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        if done.returncode not in expect:
            raise CommandFailed(f"`fairlead {' '.join(words)}` ended with {done.returncode}: {done.stderr[-1500:]}")
        return done.stdout

    def write(self, specification: Mapping[str, Any]) -> Path:
        """The specification as a file."""
        file = self.home / "specification.json"
        file.write_text(json.dumps(specification))
        return file

    def build(self, specification: Mapping[str, Any]) -> None:
        """Its releases only, so that they are found built."""
        self.run("deploy", str(self.write({**specification, "skip_deploy": True})), "--json")

    def deploy(self, specification: Mapping[str, Any], *, expect: Sequence[int] = (0,)) -> Deployed:
        """`fairlead deploy` to its end."""
        told = json.loads(self.run("deploy", str(self.write(specification)), "--json", expect=expect))
        began, ended = self.times_of(told["flow_run"])
        return Deployed(told["deployment"], began, ended, told["routes"])

    def times_of(self, flow_run: str) -> tuple[float, float]:
        """Start and end of a flow run that has ended, as Prefect has them."""
        run = self.prefect.get(f"/flow_runs/{flow_run}").raise_for_status().json()
        return moment(run["start_time"]), moment(run["end_time"])

    def steps_by_phase(self, deployment: str) -> dict[str, int]:
        """How many steps its plan has."""
        plan = self.records.deployments.plan(deployment) or {}
        found: dict[str, int] = {}
        for step in plan.get("steps", ()):  # type: ignore[attr-defined]
            found[step["phase"]] = found.get(step["phase"], 0) + 1
        return found

    def events(self, deployment: str) -> list[DeploymentEvent]:
        """Everything that happened in it, oldest first."""
        timeline = self.records.events.timeline(deployment=deployment)
        return [event for event in timeline if isinstance(event, DeploymentEvent)]

    @cached_property
    def prefect(self) -> httpx.Client:
        """Of Prefect's API, which runs."""
        return httpx.Client(base_url=self.plane.environment()["PREFECT_API_URL"], timeout=60, trust_env=False)

    @cached_property
    def records(self) -> Records:
        """Of this home; PostgreSQL is started when it is away."""
        records = Records(self.plane.ensure_database())
        records.migrate()
        return records

    def prefect_environment(self) -> dict[str, str]:
        """For a process that runs flows beside Fairlead's, in the same conditions."""
        return {
            **self.environment,
            **self.plane.environment(),
            "PYTHONPATH": str(ROOT),
            "PREFECT_LOGGING_LEVEL": "ERROR",
        }

    def empty(self) -> None:
        """Stop every service and proxy; the control plane goes on. What comes next uses another environment."""
        data_plane(self.settings).stop()

    def remove(self) -> None:
        """Stop everything, and forget the home."""
        for name in ("prefect", "records"):
            if name in self.__dict__:
                getattr(self, name).close()
        self.run("destroy", "--yes", "--everything", "--force", expect=range(256))
        shutil.rmtree(self.settings.run_directory, ignore_errors=True)
        shutil.rmtree(self.home, ignore_errors=True)


@contextmanager
def house(*, is_up: bool = True) -> Iterator[House]:
    """A home as after `fairlead up`; removed whatever happens, and a second Ctrl-C does not cut that short."""
    made = House()
    try:
        if is_up:
            made.run("up")
        yield made
    finally:
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            made.remove()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def command(*words: str) -> list[str]:
    """The console script beside our interpreter; without one, the same by its module."""
    script = Path(sys.executable).with_name("fairlead")
    return [str(script), *words] if script.exists() else [sys.executable, "-m", "deployments.cli", *words]


def moment(text: str) -> float:
    """Seconds since 1970 of a time as Prefect writes it."""
    return datetime.fromisoformat(text).timestamp()
