"""Whether the addresses of routes are free, asked before HAProxy is."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Sequence

from deployments.domain.errors import Refused
from deployments.domain.ports import RouteDeclaration


def require_free_ports(wanted: Sequence[RouteDeclaration], *, bound: Iterable[int]) -> None:
    """Raise Refused naming the port and its service when two routes share one, or somebody else listens there.

    A worker that cannot bind makes HAProxy pause every listener for two seconds, so a port is tried before the reload.
    `bound` are the ports which this proxy listens on already.
    """
    owners: dict[int, str] = {}
    for route in wanted:
        for port in (route.port, route.preview_port):
            if port in owners:
                raise Refused(
                    f"Port {port} of service {route.service} is also a port of service {owners[port]}.",
                    remedy="Choose another port.",
                )
            owners[port] = route.service
    for port in sorted(set(owners) - set(bound)):
        _require_free(port, owners[port])


def _require_free(port: int, service: str) -> None:
    with socket.socket() as attempt:
        # As HAProxy does: a port with only finished connections is free. Nor is it taken by an attempt like this one,
        # which never listens: a process that was stopped right here keeps nobody from the port.
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(("127.0.0.1", port))
        except OSError as problem:
            reason = "is taken" if problem.errno == errno.EADDRINUSE else f"cannot be used ({problem.strerror})"
            raise Refused(f"Port {port} of service {service} {reason}.", remedy="Choose another port.") from problem
