"""Local resources: directories, ports, databases, configuration files."""

from deployments.adapters.provisioner.provisioner import LocalProvisioner

__all__ = ["LocalProvisioner"]
