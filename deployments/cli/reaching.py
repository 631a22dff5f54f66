"""How the verbs reach records and outside: the command line's composition root."""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING

from deployments.domain.errors import Unavailable

if TYPE_CHECKING:
    from deployments.adapters.control_plane.plane import ControlPlane
    from deployments.driver.world import World
    from deployments.settings import Settings


OPENED: list[World] = []


def read_settings() -> Settings:
    """What the environment's variables say. Raises Refused for one that cannot be used."""
    from deployments.settings import Settings

    return Settings.read(os.environ)


def control_plane(settings: Settings) -> ControlPlane:
    """The control plane of this home; nothing is started."""
    from deployments.assembly import control_plane as assembled

    return assembled(settings)


def open_world(settings: Settings) -> World:
    """Records and outside. Starts the embedded PostgreSQL when records are kept in it and it is not running."""
    from deployments.assembly import assemble

    return closed_at_the_end(assemble(settings))


def closed_at_the_end(world: World) -> World:
    """The world, whose connections are closed when the command ends."""
    OPENED.append(world)
    return world


def close() -> None:
    """Close every connection to the records."""
    while OPENED:
        OPENED.pop().records.close()


def has_records(settings: Settings, plane: ControlPlane) -> bool:
    """Whether the records can be read without anything being started."""
    return settings.database_url is not None or plane.status().services.get("postgres", False)


def require_records(settings: Settings, plane: ControlPlane) -> World:
    """The world, without anything being started. Raises Unavailable when PostgreSQL is not running."""
    if not has_records(settings, plane):
        raise Unavailable(
            f"PostgreSQL, which keeps the records of {settings.home}, is not running.",
            remedy="Start it with `fairlead up`. Services and routes do not need it.",
        )
    return open_world(settings)


def user() -> str:
    """Who asks, as the operating system knows them."""
    return getpass.getuser()
