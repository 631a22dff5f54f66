"""How a service is asked whether it is well: health checks of one instance, checks of a release."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from deployments.domain.spec.model import Duration, Name, Part, Word

Status = Annotated[int, Field(ge=100, le=599)]


class HttpProbe(Part):
    """Ask for a path over HTTP."""

    kind: Literal["http"] = "http"
    path: Word = "/"
    method: Literal["GET", "HEAD", "POST"] = "GET"
    headers: dict[str, str] = {}
    expect_status: tuple[Status, ...] = (200,)
    expect_text: str | None = None
    """A text the answer's body must contain."""


class TcpProbe(Part):
    """Open a connection to the instance's port."""

    kind: Literal["tcp"] = "tcp"


class CommandProbe(Part):
    """Run a program of the release; exit code 0 is good. `{port}` and `{url}` are filled in."""

    kind: Literal["command"] = "command"
    command: tuple[Word, ...] = Field(min_length=1)


Probe = Annotated[HttpProbe | TcpProbe | CommandProbe, Field(discriminator="kind")]


class HealthCheck(Part):
    """Asked of every instance until it is good often enough in a row."""

    probe: Probe = TcpProbe()
    interval: Duration = timedelta(milliseconds=200)
    timeout: Duration = timedelta(seconds=2)
    successes: Annotated[int, Field(ge=1, le=100)] = 1
    """Good answers in a row before the instance counts as healthy."""


class When(StrEnum):
    """At which moment a check is asked."""

    BEFORE_TRAFFIC = "before_traffic"
    AT_STEP = "at_step"
    AFTER_TRAFFIC = "after_traffic"


class Check(Part):
    """Asked of a release: before traffic on the preview route, at each step of traffic, or after on the public route."""

    name: Name
    when: When = When.BEFORE_TRAFFIC
    probe: Probe
    attempts: Annotated[int, Field(ge=1, le=20)] = 1
    """How often it is asked; it fails when more than `tolerated_failures` of them are bad."""
    tolerated_failures: Annotated[int, Field(ge=0, le=19)] = 0
    timeout: Duration = timedelta(seconds=5)
