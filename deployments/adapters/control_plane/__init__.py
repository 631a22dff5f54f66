"""PostgreSQL, Prefect's server, the warm runner and the reconciler of one home."""

from deployments.adapters.control_plane.plane import ControlPlane, ControlPlaneStatus

__all__ = ["ControlPlane", "ControlPlaneStatus"]
