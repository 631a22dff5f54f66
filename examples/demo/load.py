"""Constant load on three routes, in a process of its own: it knows nothing of deployments.

    python -m examples.demo.load LEDGER '{"catalogue": "http://127.0.0.1:8001", ...}'

Requests come on kept connections, on new ones, and slowly. Each is written to the ledger when it is over. The load
ends when standard input does (whoever started it is done, or gone): nothing new is sent, what is in flight is waited
for, and the number of requests sent is printed.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from examples.demo.accounting import Line, write_line
from examples.demo.visits import MISTAKE, PROMPT, SLOW, Visit, addresses, release_of
from examples.demo.wire import Answer, Connection

KEPT, NEW = 6, 4
"""Visitors on kept connections, visitors who connect anew each time; each slow visit has a visitor of its own."""
PAUSE = 0.25
"""Seconds from one request of a visitor to the next, at least."""
REST = 1.0
"""Of a slow visitor, between visits."""
PATIENCE = 60.0
"""Seconds until a request without an answer has failed."""
LONGEST = 1800.0
"""Seconds after which the load ends by itself."""


class Load:
    """The visitors and their ledger."""

    def __init__(self, urls: dict[str, str], ledger: TextIO) -> None:
        """`urls` are the routes' addresses by service."""
        self._addresses = addresses(urls)
        self._ledger = ledger
        self._end = asyncio.Event()
        self.sent = 0

    async def run(self) -> None:
        """Until told to stop, and all answers are in."""
        visitors = [self._prompt(number, kept=number < KEPT) for number in range(KEPT + NEW)]
        visitors += [self._slow(visit) for visit in SLOW]
        async with asyncio.timeout(LONGEST + PATIENCE):
            asyncio.get_running_loop().call_later(LONGEST, self.stop)
            await asyncio.gather(*visitors)

    def stop(self) -> None:
        """Send nothing new."""
        self._end.set()

    async def _prompt(self, number: int, *, kept: bool) -> None:
        """One visit after the other, each visitor beginning at another one."""
        connections = {name: Connection(*address, is_kept=kept) for name, address in self._addresses.items()}
        turn = number
        await asyncio.sleep(PAUSE * number / (KEPT + NEW))
        while not self._end.is_set():
            visit = PROMPT[turn % len(PROMPT)]
            turn += 1
            began = time.monotonic()
            await self._visit(connections[visit.route], visit, "kept" if kept else "new")
            await self._rest(PAUSE - (time.monotonic() - began))
        for connection in connections.values():
            connection.close()

    async def _slow(self, visit: Visit) -> None:
        """The same slow visit again and again, on new connections."""
        connection = Connection(*self._addresses[visit.route], is_kept=False)
        while not self._end.is_set():
            await self._visit(connection, visit, "slow")
            await self._rest(REST)

    async def _rest(self, seconds: float) -> None:
        """Pause, unless it is over."""
        if seconds > 0:
            try:
                await asyncio.wait_for(self._end.wait(), seconds)
            except TimeoutError:
                return

    async def _visit(self, connection: Connection, visit: Visit, way: str) -> None:
        self.sent += 1
        number, sent = self.sent, time.time()
        try:
            answer = await asyncio.wait_for(connection.ask(visit.request), PATIENCE)
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            connection.close()
            problem = f"{type(error).__name__}: {error}".strip(": ")
            line = Line(number, sent, time.time(), visit.name, way, None, None, problem)
        else:
            line = judge(answer, visit, number=number, sent=sent, way=way)
        self._ledger.write(write_line(line) + "\n")


def judge(answer: Answer, visit: Visit, *, number: int, sent: float, way: str) -> Line:
    """Good is 200 with the content asked for. Blame needs the words of the one mistake that is known."""
    problem = blamed = None
    release = release_of(visit, answer.body)
    if answer.status != 200:
        problem = f"status {answer.status}: {excerpt(answer.body)}"
        if answer.status >= 500 and MISTAKE.words in answer.body:
            release = blamed = MISTAKE.release
    elif release is None:
        problem = f"an answer without the content asked for: {excerpt(answer.body)}"
    return Line(number, sent, time.time(), visit.name, way, answer.status, release, problem, blamed)


def excerpt(body: bytes) -> str:
    """The words of a page or a message, for people; at most 100 characters of them."""
    text = re.sub(r"<(style|script|head).*?</\1>|<[^>]*>", " ", body.decode("utf-8", "replace"), flags=re.DOTALL)
    return " ".join(text.split())[:100]


def main(arguments: Sequence[str]) -> int:
    """Run until standard input ends; print how many requests were sent."""
    with Path(arguments[0]).open("w", buffering=1) as ledger:
        load = Load(json.loads(arguments[1]), ledger)
        asyncio.run(run_to_end_of_input(load))
    print(load.sent)
    return 0


async def run_to_end_of_input(load: Load) -> None:
    """Stop when standard input does."""
    loop, source = asyncio.get_running_loop(), sys.stdin.fileno()

    def look() -> None:
        if not os.read(source, 1024):
            loop.remove_reader(source)
            load.stop()

    loop.add_reader(source, look)
    await load.run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
