"""What the supervisor keeps on disk about each process, so that a restarted one knows what runs and what should.

A record may hold credentials in its environment: files are 0600 in a directory that is 0700.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from deployments.adapters.supervisor.identity import ProcessIdentity
from deployments.domain.ports import InstanceReport, InstanceState, Program

INSTANCE = "instance"
SERVICE = "service"


@dataclass(slots=True)
class Record:
    """How to run one process, and what became of it.

    `is_wanted` turns false before a stop begins; `has_settled` once a life was long enough that its end is a crash and
    not a failed start; `exit_code` is that of the last life that ended by itself (negative: the signal).
    """

    kind: str
    name: str
    command: tuple[str, ...]
    directory: str
    log: str
    environment: Mapping[str, str] = field(default_factory=dict)
    project_environment: str = ""
    service: str = ""
    revision: str = ""
    port: int | None = None
    memory_mb: int | None = None
    cpu: float | None = None
    open_files: int | None = None
    stop_signal: str = "TERM"
    stop_grace: float = 10.0
    user: tuple[int, int] | None = None
    is_wanted: bool = True
    has_settled: bool = False
    has_exited: bool = False
    restarts: int = 0
    exit_code: int | None = None
    order: float = 0.0

    @classmethod
    def of_program(cls, program: Program) -> Record:
        """The record of an instance that is about to start."""
        return cls(
            kind=INSTANCE,
            name=program.instance,
            command=tuple(program.command),
            directory=str(program.directory),
            log=str(program.log),
            environment=dict(program.environment),
            project_environment=program.project_environment,
            service=program.service,
            revision=program.revision,
            port=program.port,
            memory_mb=program.memory_mb,
            cpu=program.cpu,
            open_files=program.open_files,
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Record:
        """Read one back. Raises TypeError or KeyError when it is not one."""
        user = tuple(values["user"]) if values["user"] else None
        return cls(**{**values, "command": tuple(values["command"]), "user": user})

    def to_dict(self) -> dict[str, object]:
        """As JSON knows it."""
        return asdict(self)

    @property
    def is_complete(self) -> bool:
        """Whether it tells how to start the process; one that was put together from a living process does not."""
        return bool(self.command)

    @property
    def key(self) -> str:
        """Unique among instances and services."""
        return f"{self.kind}:{self.name}"

    def report(self, identity: ProcessIdentity | None) -> InstanceReport:
        """The instance as observed; `identity` is that of its living process.

        Without one it exited; while a restart is due it is starting.
        """
        ended = InstanceState.EXITED if self.has_exited or not self.has_settled else InstanceState.STARTING
        return InstanceReport(
            instance=self.name,
            state=InstanceState.RUNNING if identity else ended,
            pid=identity.pid if identity else None,
            port=self.port,
            exit_code=self.exit_code,
            restarts=self.restarts,
            project_environment=self.project_environment,
            service=self.service,
            revision=self.revision,
        )


class Records:
    """The records of one supervisor: `<kind>:<name>.json`, and `.pid` beside it, written by the process itself."""

    def __init__(self, state_directory: Path) -> None:
        """Nothing is made before something is saved."""
        self._directory = state_directory / "processes"

    def save(self, record: Record) -> None:
        """Write it so that a reader sees the old one or the new one."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(self._path(record.key, ".json"), json.dumps(record.to_dict()))

    def load(self, key: str) -> Record | None:
        """One record; None when there is none, or what is there cannot be read."""
        try:
            return Record.from_dict(json.loads(self._path(key, ".json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def all(self) -> Iterator[Record]:
        """Every readable record, oldest start first."""
        names = [path.name for path in self._directory.glob("*.json")] if self._directory.is_dir() else []
        loaded = (self.load(unquote(name.removesuffix(".json"))) for name in names)
        return iter(sorted((record for record in loaded if record), key=lambda record: record.order))

    def forget(self, key: str) -> None:
        """Remove a record and its identity."""
        self._path(key, ".json").unlink(missing_ok=True)
        self._path(key, ".pid").unlink(missing_ok=True)

    def living(self, key: str) -> ProcessIdentity | None:
        """The identity of its process while that lives."""
        try:
            identity = ProcessIdentity(**json.loads(self.identity_path(key).read_text(encoding="ascii")))
        except (OSError, ValueError, TypeError):
            return None
        return identity if identity.is_alive() else None

    def note_living(self, key: str, identity: ProcessIdentity) -> None:
        """Write who runs, for a process that another supervisor's books had."""
        write_atomically(self.identity_path(key), json.dumps(asdict(identity)))

    def identity_path(self, key: str) -> Path:
        """Where the process writes who it is before it becomes its program."""
        return self._path(key, ".pid")

    def _path(self, key: str, suffix: str) -> Path:
        return self._directory / f"{quote(key, safe=':')}{suffix}"


def write_atomically(path: Path, text: str, *, durable: bool = False) -> None:
    """Replace a private file; `durable` also survives a power failure."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    draft.replace(path)
