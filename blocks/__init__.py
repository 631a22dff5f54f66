"""Typed configuration of each outside system, kept by Prefect; each block has one method, which returns its adapter."""

from blocks.database import FairleadDatabase
from blocks.internal import InternalBuilds, InternalProvider, InternalProxy

ALL = (FairleadDatabase, InternalProvider, InternalProxy, InternalBuilds)
"""Every block; `fairlead up` registers their types, so that people can fill them in Prefect's UI."""

__all__ = ["ALL", "FairleadDatabase", "InternalBuilds", "InternalProvider", "InternalProxy"]
