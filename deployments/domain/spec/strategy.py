"""How a service's traffic moves from one release to the next."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from deployments.domain.spec.model import Duration, Part


class BlueGreen(Part):
    """All new instances beside the old; then all traffic at once."""

    kind: Literal["blue_green"] = "blue_green"
    """Says that all traffic moves at once."""


class Rolling(Part):
    """A batch of new instances at a time, each taking its share of the traffic; the old stay warm until the end."""

    kind: Literal["rolling"] = "rolling"
    """Says that traffic moves batch by batch."""
    batch: Annotated[int, Field(strict=True, ge=1, le=100)] = 1
    """Instances per batch."""
    pause: Duration = timedelta(0)
    """How long each batch carries traffic before the next begins."""


class Recreate(Part):
    """Stop the old, then start the new: for a service that cannot run twice. Requests wait in the proxy meanwhile."""

    kind: Literal["recreate"] = "recreate"
    """Says that the old release stops before the new one starts."""
    hold: Duration = timedelta(seconds=30)
    """How long a request may wait in the proxy; beyond it requests fail, and are counted."""


Strategy = Annotated[BlueGreen | Rolling | Recreate, Field(discriminator="kind")]
