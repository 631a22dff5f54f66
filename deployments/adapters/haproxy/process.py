"""The processes of one environment's proxy: HAProxy and the meter beside it, kept by the supervisor."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from deployments.adapters.haproxy import launch
from deployments.adapters.haproxy.binary import find_haproxy
from deployments.adapters.haproxy.files import ProxyFiles
from deployments.adapters.haproxy.ports import require_free_ports
from deployments.adapters.haproxy.process_host import ProcessHost
from deployments.adapters.haproxy.runtime import Runtime
from deployments.adapters.haproxy.waiting import holds_within
from deployments.domain.errors import ProxyUnavailable

START_TIMEOUT = timedelta(seconds=60)
STOP_TIMEOUT = timedelta(seconds=10)
_PACKAGE_ROOT = Path(__file__).resolve().parents[3]


class ProxyProcess:
    """Starts and stops them."""

    def __init__(self, environment: str, files: ProxyFiles, runtime: Runtime, host: ProcessHost) -> None:
        """Nothing is started yet."""
        self._files = files
        self._runtime = runtime
        self._host = host
        self._proxy_name = f"haproxy-{environment}"
        self._meter_name = f"meter-{environment}"
        self._variables = {"PYTHONPATH": str(_PACKAGE_ROOT), "PATH": os.defpath}

    def ensure_running(self, program: Path | None, *, is_running: bool) -> None:
        """Start what is not there; returns when HAProxy answers.

        A HAProxy that outlived its supervisor answers, and is left alone; the supervisor is told all the same how to
        start it, for its books may have been lost. Raises Refused when somebody else listens on a route's port,
        ProxyUnavailable when HAProxy does not come up.
        """
        self._ensure_meter()
        if not is_running and not self._host.service_is_running(self._proxy_name):
            require_free_ports(self._files.routes(), bound=())
        command = self._command(find_haproxy(program))
        self._host.ensure_service(self._proxy_name, command, self._variables, self._files.proxy_log)
        if not is_running and not holds_within(self._runtime.answers, START_TIMEOUT):
            raise ProxyUnavailable(
                f"HAProxy did not start within {START_TIMEOUT.total_seconds():.0f} s.",
                remedy=f"Read {self._files.proxy_log}.",
            )

    def stop(self) -> None:
        """Stop both, HAProxy also when its supervisor does not know it."""
        self._host.stop_service(self._proxy_name)
        with suppress(ProxyUnavailable, ProcessLookupError):
            os.kill(self._runtime.processes().master, signal.SIGTERM)
        if not holds_within(lambda: not self._runtime.answers(), STOP_TIMEOUT):
            raise ProxyUnavailable("HAProxy still answers after it was told to stop.", remedy="Stop it by hand.")
        self._host.stop_service(self._meter_name)

    def _ensure_meter(self) -> None:
        files = self._files
        arguments = (files.meter_directory, files.instances, files.request_pipe, files.master_socket)
        command = [sys.executable, "-m", "deployments.adapters.meter", *map(str, arguments)]
        self._host.ensure_service(self._meter_name, command, self._variables, files.meter_log)

    def _command(self, program: Path) -> list[str]:
        haproxy = [
            str(program),
            "-W",
            "-S",
            f"{self._files.master_socket},mode,600",
            "-f",
            str(self._files.configuration),
        ]
        launching = [
            sys.executable,
            "-m",
            launch.__name__,
            str(self._files.running_lock),
            str(self._files.request_pipe),
        ]
        return [*launching, *haproxy]
