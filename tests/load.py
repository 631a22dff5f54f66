"""Constant load on one address: kept connections, new connections, and slow requests in flight.

    with LoadGenerator(f"http://127.0.0.1:{port}/", slow_path="/slow/0.5") as load:
        ...  # change what is behind the address
    report = load.report()
    assert report.failed == 0, report.failures

A request has failed when it got no complete answer, or one of 500 and above. A connection that the server closes
*between* requests is replaced without counting, as every client does; one that it closes after a request was sent is a
failure.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

_MOST_FAILURES = 200


@dataclass(frozen=True, slots=True)
class Failure:
    """One request that failed: when (monotonic seconds), on which kind of connection, what was seen."""

    at: float
    kind: str
    detail: str
    release: str = ""


@dataclass(slots=True)
class LoadReport:
    """What was sent and what came back. `by_release` counts answers by their header `x-release`."""

    requests: int = 0
    failed: int = 0
    failures: list[Failure] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    by_release: Counter[str] = field(default_factory=Counter)
    by_kind: Counter[str] = field(default_factory=Counter)
    last_seen: dict[str, float] = field(default_factory=dict)
    """When the last request that a release answered was sent, in monotonic seconds."""
    latencies_ms: list[float] = field(default_factory=list)
    """Of answered requests, without the slow ones."""

    def percentile_ms(self, share: float) -> float:
        """The latency which this share of requests did not exceed."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


class LoadGenerator:
    """Sends GET requests from a thread of its own until stopped, at most for `at_most` seconds."""

    def __init__(
        self,
        url: str,
        *,
        rate: float = 200.0,
        keep_alive: int = 4,
        fresh: int = 4,
        slow_path: str | None = None,
        slow: int = 2,
        timeout: float = 30.0,
        at_most: float = 300.0,
    ) -> None:
        """`rate` requests a second are shared by `keep_alive` kept and `fresh` new connections.

        `slow` connections ask for `slow_path` one request after the other, besides. `timeout` is per request.
        """
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._interval = (keep_alive + fresh) / rate
        self._kinds = ["keep-alive"] * keep_alive + ["fresh"] * fresh + (["slow"] * slow if slow_path else [])
        self._slow_path = slow_path or "/"
        self._timeout = timeout
        self._at_most = at_most
        self._report = LoadReport()
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin sending."""
        self._thread.start()

    def stop(self) -> None:
        """Send nothing new, and wait for the answers to what was sent."""
        self._is_stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    def report(self) -> LoadReport:
        """What happened so far; complete once stopped."""
        return self._report

    def wait_for(self, requests: int, *, patience: float = 60.0) -> None:
        """Return when this many more requests were answered; raises TimeoutError."""
        target, deadline = self._report.requests + requests, time.monotonic() + patience
        while self._report.requests < target:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self._report.requests} of {target} requests were answered")
            time.sleep(0.01)

    def _run(self) -> None:
        asyncio.run(self._send_all())

    async def _send_all(self) -> None:
        deadline = time.monotonic() + self._at_most
        workers = [self._work(kind, number, deadline) for number, kind in enumerate(self._kinds)]
        await asyncio.gather(*workers)

    async def _work(self, kind: str, number: int, deadline: float) -> None:
        client = _Client(self._host, self._port, keeps=kind == "keep-alive")
        await asyncio.sleep(self._interval * number / len(self._kinds))
        try:
            while not self._is_stopped.is_set() and time.monotonic() < deadline:
                began = time.monotonic()
                await self._send(client, kind, began)
                pause = 0.0 if kind == "slow" else self._interval - (time.monotonic() - began)
                await asyncio.sleep(max(0.0, pause))
        finally:
            await client.close()

    async def _send(self, client: _Client, kind: str, began: float) -> None:
        path = self._slow_path if kind == "slow" else self._path
        report = self._report
        try:
            answer = await asyncio.wait_for(client.get(path), self._timeout)
        except (OSError, EOFError, ValueError, TimeoutError) as problem:
            await client.close()
            self._fail(Failure(began, kind, f"{type(problem).__name__}: {problem}"))
        else:
            report.statuses[answer.status] += 1
            if answer.release:
                report.by_release[answer.release] += 1
                report.last_seen[answer.release] = max(began, report.last_seen.get(answer.release, 0.0))
            if kind != "slow":
                report.latencies_ms.append((time.monotonic() - began) * 1000)
            if answer.status >= 500:
                self._fail(Failure(began, kind, f"status {answer.status}", answer.release))
        report.by_kind[kind] += 1
        report.requests += 1

    def _fail(self, failure: Failure) -> None:
        self._report.failed += 1
        if len(self._report.failures) < _MOST_FAILURES:
            self._report.failures.append(failure)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    release: str
    closes: bool


class _Client:
    """One connection at a time, kept or not."""

    def __init__(self, host: str, port: int, *, keeps: bool) -> None:
        self._host, self._port, self._keeps = host, port, keeps
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> _Answer:
        """Raises EOFError when the connection ended before the answer did."""
        reader, writer = await self._connection()
        wish = "keep-alive" if self._keeps else "close"
        writer.write(f"GET {path} HTTP/1.1\r\nhost: {self._host}:{self._port}\r\nconnection: {wish}\r\n\r\n".encode())
        answer = await _read_answer(reader)
        if answer.closes or not self._keeps:
            await self.close()
        return answer

    async def close(self) -> None:
        if self._streams is not None:
            writer, self._streams = self._streams[1], None
            writer.transport.abort()
            await asyncio.sleep(0)  # the transport closes its socket in the next round of the loop

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None and self._streams[0].at_eof():
            await self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        return self._streams


async def _read_answer(reader: asyncio.StreamReader) -> _Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    has_length = await _read_body(reader, headers)
    closes = headers.get("connection", "").lower() == "close" or not has_length
    return _Answer(int(head[0].split()[1]), headers.get("x-release", ""), closes)


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bool:
    """Read to the end; False when only the end of the connection tells the end of the answer."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            await reader.readexactly(size + 2)
        await reader.readuntil(b"\r\n\r\n" if "trailer" in headers else b"\r\n")
        return True
    if "content-length" in headers:
        await reader.readexactly(int(headers["content-length"]))
        return True
    await reader.read()
    return False
