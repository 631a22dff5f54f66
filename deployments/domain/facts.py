"""What was observed before a plan is made. A plan depends on the specification and on these, and on nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from deployments.domain.environment import EnvironmentRecord
from deployments.domain.ports import Endpoint, MachineFacts, SourceLock


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `is_verified` is True for the operating system's user, False for a name that a trigger stated."""

    name: str
    is_verified: bool = True


@dataclass(frozen=True, slots=True)
class RunningRelease:
    """Instances of one revision of one service that were observed running."""

    service: str
    revision: str
    release: str
    version: str
    deployment: str
    endpoints: tuple[Endpoint, ...]
    cpu: float = 0.0
    memory_mb: int = 0
    """Per instance, as its specification asked."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything a plan is made from besides the specification."""

    now: datetime
    principal: Principal
    machine: MachineFacts
    environment: EnvironmentRecord | None = None
    """None: not known yet; it is created with defaults, owned by the principal."""
    stable: Mapping[str, RunningRelease] = field(default_factory=dict)
    """By service: what serves now."""
    warm: Mapping[str, tuple[RunningRelease, ...]] = field(default_factory=dict)
    """By service: earlier releases whose instances still run without traffic."""
    leftovers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By service: recorded instances that neither serve nor are warm: died, or left by a failed deployment."""
    routes: Mapping[str, int] = field(default_factory=dict)
    """By service: public ports declared at the proxy."""
    locks: Mapping[str, SourceLock] = field(default_factory=dict)
    """By service: the source resolved to content."""
    built: frozenset[str] = frozenset()
    """Digests of releases on disk."""
    resources: frozenset[str] = frozenset()
    """Names of provisioned resources that exist."""
    names_in_use: frozenset[str] = frozenset()
    """Names of the environment's other deployments."""
    quarantined: Mapping[str, str] = field(default_factory=dict)
    """Revision to the reason it was quarantined for."""
    ports_taken: frozenset[int] = frozenset()
    """Ports asked for by the specification that something else listens on."""
    deployments_today: int = 0
    missing_paths: Mapping[str, str] = field(default_factory=dict)
    """Service to what is wrong with its source."""
    recent_failures: int = 0
    """Failed or rolled-back deployments of this environment in the last seven days."""
