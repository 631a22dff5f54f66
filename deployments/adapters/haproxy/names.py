"""What may be written into the configuration and into commands: only names and numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping

from deployments.domain.errors import Refused
from deployments.domain.ports import RouteDeclaration

FULL_WEIGHT = 256
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")


def require_names(*names: str) -> None:
    """Raise Refused unless each is 1 to 100 lower-case letters, digits and hyphens, and begins with no hyphen."""
    for name in names:
        if not _NAME.fullmatch(name):
            raise Refused(
                f"{name!r} is not a name of a service or an instance.",
                remedy="Use 1 to 100 lower-case letters, digits and hyphens, beginning with a letter or a digit.",
            )


def require_weights(weights: Mapping[str, int]) -> None:
    """Raise Refused unless names are names and weights are 0 to 256."""
    require_names(*weights)
    for instance, weight in weights.items():
        if not 0 <= weight <= FULL_WEIGHT:
            raise Refused(f"Weight {weight} of {instance} is out of range.", remedy=f"Use 0 to {FULL_WEIGHT}.")


def require_route(route: RouteDeclaration) -> None:
    """Raise Refused unless every name is a name and every port is a port."""
    require_names(route.service, *(endpoint.instance for endpoint in route.stable))
    ports = (route.port, route.preview_port, *(endpoint.port for endpoint in route.stable))
    for port in ports:
        require_port(port, service=route.service)


def require_port(port: int, *, service: str) -> None:
    """Raise Refused unless it is 1 to 65535."""
    if not 1 <= port <= 65535:
        raise Refused(f"Port {port} of service {service} is out of range.", remedy="Use 1 to 65535.")
