"""Processes that outlive whoever started them, under supervisord."""

from deployments.adapters.supervisor.data_plane import DataPlane
from deployments.adapters.supervisor.host import ProcessHost

__all__ = ["DataPlane", "ProcessHost"]
