"""Calls to our interface inside supervisord, over its unix socket."""

from __future__ import annotations

import http.client
import json
import socket
import time
import xmlrpc.client
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

from deployments.adapters.supervisor.daemon import SOCKET
from deployments.domain.errors import StaleFence, SupervisorUnavailable

LONGEST_SOCKET_PATH = 100
"""The kernel takes 107 bytes; supervisor adds its pid while it starts."""


class SupervisorAway(SupervisorUnavailable):
    """No supervisor serves this directory now."""


class SupervisorCalls:
    """One connection per call: a supervisor that was killed and restarted is found again without further ado."""

    def __init__(self, run_directory: Path, *, timeout_seconds: float = 30.0) -> None:
        """Nothing is opened yet."""
        self.socket_path = run_directory / SOCKET
        self._timeout_seconds = timeout_seconds

    def call(self, method: str, **values: object) -> Any:
        """Call `fairlead.<method>`.

        Raises SupervisorAway when nobody listens, SupervisorUnavailable when it does not answer, and StaleFence.
        """
        body = xmlrpc.client.dumps((json.dumps(values),), f"fairlead.{method}")
        try:
            (text,), _method = xmlrpc.client.loads(self._post_patiently(body))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise SupervisorAway(f"no supervisor listens at {self.socket_path}.") from error
        except (OSError, http.client.HTTPException, xmlrpc.client.Error, ExpatError) as error:
            raise SupervisorUnavailable(
                f"the supervisor at {self.socket_path} did not answer {method}: {error!r}.",
                remedy="Look at supervisord.log beside the socket.",
            ) from error
        answer = json.loads(str(text))
        if isinstance(answer, dict) and "error" in answer:
            kind = StaleFence if answer["error"] == "StaleFence" else SupervisorUnavailable
            raise kind(answer["message"], **answer["context"])
        return answer

    def _post_patiently(self, body: str) -> str:
        """Ask again when the line breaks: every call is safe to repeat.

        A process that a supervisor forked just before it was killed keeps its socket open until it becomes its program:
        for that moment connections are taken and never answered.
        """
        deadline = time.monotonic() + self._timeout_seconds
        while True:
            try:
                return self._post(body)
            except (ConnectionResetError, BrokenPipeError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def _post(self, body: str) -> str:
        connection = _UnixConnection(self.socket_path, self._timeout_seconds)
        try:
            connection.request("POST", "/RPC2", body.encode(), {"Content-Type": "text/xml"})
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise http.client.HTTPException(f"status {response.status}")
        return content.decode()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_seconds: float) -> None:
        super().__init__("localhost", timeout=timeout_seconds)
        self._path = path
        self._seconds = timeout_seconds

    def connect(self) -> None:
        """Connect to the unix socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._seconds)
        self.sock.connect(str(self._path))
