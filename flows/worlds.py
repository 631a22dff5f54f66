"""The composition root of the flows: the outside of this process, assembled once."""

from __future__ import annotations

import os
from functools import cache

from deployments.assembly import assemble
from deployments.driver.world import World
from deployments.settings import Settings


@cache
def world_of_this_process() -> World:
    """The world that the environment's settings describe."""
    return assemble(Settings.read(os.environ))
