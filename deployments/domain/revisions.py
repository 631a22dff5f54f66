"""Names by content: a release is named by what it is built from, a revision by what runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from deployments.domain.ports import SourceLock
from deployments.domain.spec.service import Configuration, ServiceSpecification
from deployments.domain.spec.specification import DeploymentSpecification

FORMAT = 1
"""Raised when the way of building changes, so that old releases are not mistaken for new ones."""


def digest_of(value: object) -> str:
    """sha256 over canonical JSON, in hexadecimal."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def release_of(service: ServiceSpecification, lock: SourceLock) -> str:
    """Digest of everything a release is built from."""
    return digest_of(
        [
            FORMAT,
            lock.digest,
            service.framework.value,
            service.install_command,
            service.build_command,
            service.output_directory,
        ]
    )


def configuration_of(specification: DeploymentSpecification, service: ServiceSpecification) -> Configuration:
    """The service's configuration with the specification's overrides laid over it."""
    override = specification.configuration_overrides.get(service.name)
    if override is None:
        return service.configuration
    return Configuration(
        files={**service.configuration.files, **override.files},
        values={**service.configuration.values, **override.values},
    )


def revision_of(specification: DeploymentSpecification, service: ServiceSpecification, release: str) -> str:
    """Name of what runs: the release, how it is started and its configuration. 12 hexadecimal digits."""
    configuration = configuration_of(specification, service)
    running: Mapping[str, object] = {
        "release": release,
        "version": service.version,
        "command": service.run_command,
        "environment": service.environment_variables,
        "files": configuration.files,
        "values": configuration.values,
        "cpu": service.resources.cpu,
        "memory_mb": service.resources.memory_mb,
        "open_files": service.resources.open_files,
        "type": service.type.value,
    }
    return digest_of(running)[:12]
