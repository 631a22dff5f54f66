"""What the internal provider works with: supervised processes, their proxy and their builds on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from prefect.blocks.core import Block
from pydantic import Field

from deployments.adapters.builder.builder import LocalBuilder
from deployments.adapters.haproxy.proxy import HAProxy
from deployments.adapters.supervisor.data_plane import DataPlane
from deployments.settings import Settings

HOME = Field(default=None, description="Fairlead's state directory; unless given, the one that FAIRLEAD_HOME names.")


def settings_of(home: Path | None) -> Settings:
    """The environment's settings, with this home."""
    return Settings.read({**os.environ, "FAIRLEAD_HOME": str(home)} if home else os.environ)


def data_plane_of(home: Path | None) -> DataPlane:
    """The supervisor of the home's instances; where `deployments.assembly` puts it."""
    settings = settings_of(home)
    return DataPlane(settings.home / "data-plane", settings.run_directory / "data")


class InternalProvider(Block):
    """This machine: instances are supervised processes."""

    _block_type_name = "Fairlead Internal Provider"
    _block_type_slug = "fairlead-internal-provider"
    _description = "This machine: instances are supervised processes that outlive every command."

    home: Path | None = HOME

    def supervisor(self) -> DataPlane:
        """The supervisor of this home's instances. Nothing is started."""
        return data_plane_of(self.home)


class InternalProxy(Block):
    """The HAProxy of one environment."""

    _block_type_name = "Fairlead Internal Proxy"
    _block_type_slug = "fairlead-internal-proxy"
    _description = "The HAProxy that holds the routes of one environment on this machine."

    environment: str = Field(description="Name of the environment.", pattern=r"^[a-z][a-z0-9-]{0,39}$")
    home: Path | None = HOME
    program: Path | None = Field(default=None, description="The HAProxy to run; unless given, the one of the wheel.")

    def proxy(self) -> HAProxy:
        """The proxy. Nothing is started."""
        settings = settings_of(self.home)
        directory, host = settings.home / "proxy", data_plane_of(self.home)
        program = self.program or settings.haproxy
        return HAProxy(self.environment, directory, settings.run_directory, host, program=program)


class InternalBuilds(Block):
    """Where releases are built and kept."""

    _block_type_name = "Fairlead Internal Builds"
    _block_type_slug = "fairlead-internal-builds"
    _description = "Builds releases on this machine, each once, named by the digest of its content."

    home: Path | None = HOME
    wheelhouse: Path | None = Field(default=None, description="The only place to take packages from, when given.")

    def builder(self) -> LocalBuilder:
        """The builder. Nothing is built."""
        settings = settings_of(self.home)
        return LocalBuilder(settings.home, wheelhouse=self.wheelhouse or settings.wheelhouse)
