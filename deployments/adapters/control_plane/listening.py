"""Ports of this machine: which are free, who listens, and whether what listens is Prefect and well."""

from __future__ import annotations

import socket

import httpx
import psutil

HOST = "127.0.0.1"


def free_port(*, preferred: int | None = None) -> int:
    """A port that nobody listens on: the preferred one when it is free."""
    if preferred is not None and _can_bind(preferred):
        return preferred
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def is_answering(port: int) -> bool:
    """Whether somebody accepts connections."""
    try:
        with socket.create_connection((HOST, port), timeout=2):
            return True
    except OSError:
        return False


def listens(pid: int, port: int) -> bool:
    """Whether this very process listens on the port. Another home's server on our old port is healthy, and not ours."""
    try:
        connections = psutil.Process(pid).net_connections(kind="tcp")
    except psutil.Error:
        return False
    return any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in connections)


def is_healthy(api_url: str) -> bool:
    """Whether Prefect's server and its database answer. Proxies that the environment names are not asked."""
    try:
        return httpx.get(f"{api_url}/health", timeout=5, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
