"""Asks one question of one address on this machine: HTTP, TCP or a command. A bad answer is an answer."""

from __future__ import annotations

import http.client
import io
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta

from deployments.domain.ports import ProbeOutcome, ProbeRequest

HOST = "127.0.0.1"
MOST_BYTES = 1024 * 1024
DETAIL_LENGTH = 200


class LocalProber:
    """Implements `deployments.domain.ports.Prober`. The timeout is for the whole question, however slow the answer."""

    def probe(self, request: ProbeRequest) -> ProbeOutcome:
        """Ask once; never raises."""
        ask = _QUESTIONS.get(request.kind)
        if ask is None:
            return _unasked(f"the kind of probe {request.kind!r} is unknown")
        if request.kind == "command" and not request.command:
            return _unasked("no command was given")
        if request.kind != "command" and not request.port:
            return _unasked("no port was given")
        began = time.monotonic()
        try:
            problem, detail = ask(request, began + request.timeout.total_seconds())
        except ConnectionRefusedError:
            problem, detail = True, "connection refused"
        except TimeoutError:
            problem, detail = True, f"no answer in {request.timeout.total_seconds():g} s"
        except (ConnectionError, http.client.HTTPException) as error:
            problem, detail = True, f"no proper answer: {error!r}"
        except (OSError, ValueError, UnicodeError) as error:
            return _unasked(f"could not ask: {error}")
        latency = timedelta(seconds=time.monotonic() - began)
        return ProbeOutcome(is_good=not problem, detail=detail[:DETAIL_LENGTH], latency=latency)


def _unasked(detail: str) -> ProbeOutcome:
    return ProbeOutcome(is_good=False, detail=detail[:DETAIL_LENGTH], latency=timedelta(0), was_measured=False)


def _ask_http(request: ProbeRequest, deadline: float) -> tuple[bool, str]:
    with _connected(request, deadline) as connection:
        connection.sendall(_http_question(request))
        response = http.client.HTTPResponse(_Answer(connection, deadline), method=request.method)  # type: ignore[arg-type]  # it needs no more of a socket than makefile
        response.begin()
        if response.status not in request.expect_status:
            expected = " or ".join(map(str, request.expect_status))
            return True, f"{response.status} instead of {expected}"
        if request.expect_text is not None:
            text = response.read(MOST_BYTES).decode(errors="replace")
            if request.expect_text not in text:
                return True, f"{response.status}, but without the text {request.expect_text!r}"
        return False, str(response.status)


def _http_question(request: ProbeRequest) -> bytes:
    headers = {"Host": f"{HOST}:{request.port}", "User-Agent": "fairlead-probe", "Accept": "*/*", **request.headers}
    lines = [f"{request.method} {request.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if any(character in line for line in lines for character in "\r\n\0") or " " in request.path + request.method:
        raise ValueError("method, path and headers may not contain line ends or spaces")
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")


def _ask_tcp(request: ProbeRequest, deadline: float) -> tuple[bool, str]:
    with _connected(request, deadline):
        return False, "connected"


def _ask_command(request: ProbeRequest, deadline: float) -> tuple[bool, str]:
    process = subprocess.Popen(
        list(request.command),
        env={"PATH": os.defpath, **request.environment},
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _nothing = process.communicate(timeout=max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise TimeoutError from error
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    lines = output.decode(errors="replace").strip().splitlines()
    said = f": {lines[-1]}" if lines else ""
    return process.returncode != 0, f"exited with {process.returncode}{said}"


_QUESTIONS: Mapping[str, Callable[[ProbeRequest, float], tuple[bool, str]]] = {
    "http": _ask_http,
    "tcp": _ask_tcp,
    "command": _ask_command,
}


def _connected(request: ProbeRequest, deadline: float) -> socket.socket:
    return socket.create_connection((HOST, request.port or 0), timeout=_left(deadline))


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _Answer(io.RawIOBase):
    """Reads a socket until the deadline; a socket's own timeout would begin anew with each byte."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object, /) -> int:
        self._connection.settimeout(_left(self._deadline))
        return self._connection.recv_into(buffer)  # type: ignore[arg-type]  # any buffer

    def makefile(self, mode: str) -> io.BufferedReader:
        """As http.client asks a socket."""
        return io.BufferedReader(self)
