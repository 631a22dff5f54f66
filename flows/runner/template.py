"""The template process: everything imported, nothing started. It forks one process per flow run.

A fork copies the memory but only the calling thread, so a process that has threads, an event loop or open connections
must not fork. This one has none: it imports, then sits in `select` on one socket. Orders and reports are JSON, one per
datagram. When the runner at the other end of the socket is gone, the template ends; the runs it forked go on.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
from dataclasses import asdict, dataclass

LARGEST_MESSAGE = 65536


@dataclass(frozen=True, slots=True)
class Order:
    """What a forked process is to do. `job` is `run`, or the name of the hooks to run: `crashed` or `cancellation`."""

    number: int
    job: str
    flow_run_id: str
    entrypoint: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A process was forked (`status` None) or ended with an exit status, negative for a signal."""

    number: int
    pid: int
    status: int | None


def send(connection: socket.socket, message: Order | Report) -> None:
    """One message, one datagram."""
    connection.send(json.dumps(asdict(message)).encode())


def receive_report(data: bytes) -> Report:
    """The report in a datagram."""
    return Report(**json.loads(data))


def serve(orders: socket.socket) -> Order | None:
    """Fork until the runner is gone: returns None in the template at the end, and the order in each forked process."""
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for ignored in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    children: dict[int, int] = {}
    gc.collect()
    gc.freeze()
    while True:
        select.select([orders.fileno(), reader], [], [])
        with contextlib.suppress(BlockingIOError):
            os.read(reader, 4096)
        if not _report_the_ended(orders, children):
            return None
        try:
            data = orders.recv(LARGEST_MESSAGE, socket.MSG_DONTWAIT)
        except BlockingIOError:
            continue
        if not data:
            return None
        order = Order(**json.loads(data))
        pid = os.fork()
        if pid == 0:
            _become_ordinary(inherited=(orders.detach(), reader, writer))
            return order
        children[pid] = order.number
        if not _report(orders, Report(number=order.number, pid=pid, status=None)):
            return None


def _report_the_ended(orders: socket.socket, children: dict[int, int]) -> bool:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            break
        report = Report(number=children.pop(pid), pid=pid, status=os.waitstatus_to_exitcode(status))
        if not _report(orders, report):
            return False
    return True


def _report(orders: socket.socket, report: Report) -> bool:
    """False when nobody listens any more."""
    try:
        send(orders, report)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def _become_ordinary(*, inherited: tuple[int, ...]) -> None:
    """Give a forked process what a fresh one has: a session of its own, default signals, none of our descriptors."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for descriptor in inherited:
        os.close(descriptor)
    gc.unfreeze()
