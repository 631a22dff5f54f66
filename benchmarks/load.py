"""Constant load on one address, in a process of its own: `python -m benchmarks.load HOST PORT RATE`.

Requests are sent at fixed times, whether or not earlier ones are answered, in turn on kept and on new connections, and
once a second one that takes a second. Latency counts from when a request was due, so that none is left out because the
load itself had to wait. When standard input ends, nothing new is sent, what is in flight is waited for, and every
request is printed as one JSON document.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

from examples.demo.wire import Connection, Request

LONGEST = 600.0
"""Seconds after which the load ends by itself."""
PATIENCE = 30.0
PAGE, SLOW = Request("GET", "/"), Request("GET", "/slow")


class Load:
    """Sends, and remembers."""

    def __init__(self, host: str, port: int, rate: float) -> None:
        """`rate` is requests a second, the slow ones beside."""
        self._address = (host, port)
        self._rate = rate
        self._idle: list[Connection] = []
        self._end = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self.requests: list[tuple[str, float, float, float, int, str]] = []
        """Way, due, sent and done in seconds since 1970, status (0: no answer), and who answered or what was wrong."""

    async def run(self) -> None:
        """Until told to stop, and all answers are in."""
        asyncio.get_running_loop().call_later(LONGEST, self.stop)
        await asyncio.gather(self._send("page", self._rate), self._send("slow", 1.0))
        await asyncio.gather(*self._under_way)

    def stop(self) -> None:
        """Send nothing new."""
        self._end.set()

    async def _send(self, way: str, rate: float) -> None:
        began, number = time.time(), 0
        while not self._end.is_set():
            due = began + number / rate
            if (wait := due - time.time()) > 0:
                await asyncio.sleep(wait)
            task = asyncio.create_task(self._ask(way if way == "slow" else ("kept", "new")[number % 2], due))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            number += 1

    async def _ask(self, way: str, due: float) -> None:
        is_kept = way == "kept"
        connection = self._idle.pop() if is_kept and self._idle else Connection(*self._address, is_kept=is_kept)
        sent = time.time()
        try:
            answer = await asyncio.wait_for(connection.ask(SLOW if way == "slow" else PAGE), PATIENCE)
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            connection.close()
            self.requests.append((way, due, sent, time.time(), 0, f"{type(error).__name__}: {error}"))
            return
        self.requests.append((way, due, sent, time.time(), answer.status, answer.body[:60].decode("utf-8", "replace")))
        if is_kept:
            self._idle.append(connection)


async def run_to_end_of_input(load: Load) -> None:
    """Stop when standard input does: whoever started the load is done, or gone."""
    loop, source = asyncio.get_running_loop(), sys.stdin.fileno()

    def look() -> None:
        if not os.read(source, 1024):
            loop.remove_reader(source)
            load.stop()

    loop.add_reader(source, look)
    await load.run()


async def main(host: str, port: int, rate: float) -> None:
    """Load, then tell."""
    load = Load(host, port, rate)
    await run_to_end_of_input(load)
    print(json.dumps(load.requests))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
