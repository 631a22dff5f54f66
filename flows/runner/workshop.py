"""The runner's side of the template process: orders go out, and each order's process can be awaited."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from dataclasses import dataclass
from itertools import count

from flows.runner.template import LARGEST_MESSAGE, Order, receive_report, send


class TemplateGone(Exception):
    """The template process has ended; the runner cannot start runs and must be started again itself."""


@dataclass(slots=True)
class Forked:
    """One ordered process: `started` gives its number, `ended` its exit status (negative for a signal)."""

    started: asyncio.Future[int]
    ended: asyncio.Future[int]


class Workshop:
    """Sends orders to the template and resolves what it reports."""

    def __init__(self, connection: socket.socket) -> None:
        """`connection` is this side's end of a SOCK_SEQPACKET pair."""
        connection.setblocking(False)
        self._connection = connection
        self._numbers = count(1)
        self._forked: dict[int, Forked] = {}

    async def fork(self, job: str, flow_run_id: str, entrypoint: str, message: str = "") -> Forked:
        """Order a process and wait until it exists. Raises TemplateGone."""
        loop = asyncio.get_running_loop()
        order = Order(next(self._numbers), job, flow_run_id, entrypoint, message)
        forked = Forked(started=loop.create_future(), ended=loop.create_future())
        self._forked[order.number] = forked
        try:
            send(self._connection, order)
        except OSError as error:
            raise TemplateGone(str(error)) from error
        await forked.started
        return forked

    async def listen(self) -> None:
        """Resolve reports until the template is gone, then raise TemplateGone."""
        loop = asyncio.get_running_loop()
        while True:
            data = await loop.sock_recv(self._connection, LARGEST_MESSAGE)
            if not data:
                raise TemplateGone("the template process has ended")
            report = receive_report(data)
            if report.status is None:
                self._forked[report.number].started.set_result(report.pid)
            else:
                self._forked.pop(report.number).ended.set_result(report.status)


def signal_run(pid: int, number: signal.Signals) -> None:
    """Signal a run's process; one that has just ended is fine."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
