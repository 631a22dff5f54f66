"""How a service is asked whether it is well: health checks of one instance, checks of a release."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from deployments.domain.spec.model import (
    HEADER_NAME,
    HEADER_VALUE,
    URL_PATH,
    Name,
    Part,
    PositiveDuration,
    Program,
)

Status = Annotated[int, Field(strict=True, ge=100, le=599)]
UrlPath = Annotated[str, StringConstraints(pattern=URL_PATH, max_length=2000)]
HeaderName = Annotated[str, StringConstraints(pattern=HEADER_NAME, max_length=100)]
HeaderValue = Annotated[str, StringConstraints(pattern=HEADER_VALUE, max_length=4000)]


class HttpProbe(Part):
    """Ask for a path over HTTP."""

    kind: Literal["http"] = "http"
    """Says that HTTP is spoken."""
    path: UrlPath = "/"
    """What is asked for, with its query."""
    method: Literal["GET", "HEAD", "POST"] = "GET"
    """How it is asked for."""
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict)
    """Sent along."""
    expect_status: tuple[Status, ...] = Field(default=(200,), min_length=1)
    """Status codes that are good."""
    expect_text: Annotated[str, StringConstraints(min_length=1, max_length=2000)] | None = None
    """A text the answer's body must contain."""


class TcpProbe(Part):
    """Open a connection to the instance's port."""

    kind: Literal["tcp"] = "tcp"
    """Says that a connection is enough."""


class CommandProbe(Part):
    """Run a program of the release; exit code 0 is good. `{port}` and `{url}` are filled in."""

    kind: Literal["command"] = "command"
    """Says that a program answers."""
    command: Program = Field(min_length=1)
    """Program and arguments."""


Probe = Annotated[HttpProbe | TcpProbe | CommandProbe, Field(discriminator="kind")]


class HealthCheck(Part):
    """Asked of every instance until it is good often enough in a row."""

    probe: Probe = TcpProbe()
    """What is asked."""
    interval: PositiveDuration = timedelta(milliseconds=50)
    """Between two attempts."""
    timeout: PositiveDuration = timedelta(seconds=2)
    """How long one answer may take."""
    successes: Annotated[int, Field(strict=True, ge=1, le=100)] = 1
    """Good answers in a row before the instance counts as healthy."""


class When(StrEnum):
    """At which moment a check is asked."""

    BEFORE_TRAFFIC = "before_traffic"
    AT_STEP = "at_step"
    AFTER_TRAFFIC = "after_traffic"


class Check(Part):
    """Asked of a release: before traffic on the preview route, at each step of traffic, or after it."""

    name: Name
    """Unique within the service."""
    when: When = When.BEFORE_TRAFFIC
    """`before_traffic` on the preview route, `at_step` after each move, `after_traffic` once all has moved."""
    probe: Probe
    """What is asked."""
    attempts: Annotated[int, Field(strict=True, ge=1, le=20)] = 1
    """How often it is asked; it fails when more than `tolerated_failures` of them are bad."""
    tolerated_failures: Annotated[int, Field(strict=True, ge=0, le=19)] = 0
    """Bad answers that are let pass; fewer than `attempts`."""
    timeout: PositiveDuration = timedelta(seconds=5)
    """How long one answer may take."""
