"""HTTP/1.1 over a plain socket, so that each request is exactly one request: nothing is retried behind our back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum

PIECE = 16 * 1024
SMALL_BUFFER = 64 * 1024
"""Of a reader in no hurry: what does not fit waits at the server."""
LIMIT = 1024 * 1024


class Pace(StrEnum):
    """How a visitor behaves."""

    PROMPT = "prompt"
    SLOW_UPLOAD = "slow upload"
    SLOW_DOWNLOAD = "slow download"


@dataclass(frozen=True, slots=True)
class Request:
    """One request, complete. `seconds` is how long a slow one is stretched."""

    method: str
    path: str
    body: bytes = b""
    pace: Pace = Pace.PROMPT
    seconds: float = 1.5


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer."""

    status: int
    body: bytes
    is_last: bool
    """Whether the server closes the connection after it."""


@dataclass(slots=True)
class Connection:
    """At most one connection, opened when it is needed. `is_kept`: it is used again for the next request."""

    host: str
    port: int
    is_kept: bool
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = field(default=None, init=False)

    async def ask(self, request: Request) -> Answer:
        """Send it once. Raises OSError, EOFError or ValueError when no complete answer came."""
        reader, writer = await self._connected(request)
        try:
            await send(writer, request, f"{self.host}:{self.port}", "keep-alive" if self.is_kept else "close")
            answer = await receive(reader, request)
        except BaseException:
            self.close()
            raise
        if answer.is_last or not self.is_kept:
            self.close()
        return answer

    def close(self) -> None:
        """Forget the connection."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _connected(self, request: Request) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A server may close an idle connection *between* two requests; that is seen here, before anything is sent."""
        if self._streams is not None and self._streams[0].at_eof():
            self.close()
        if self._streams is None:
            limit = SMALL_BUFFER if request.pace is Pace.SLOW_DOWNLOAD else LIMIT
            self._streams = await asyncio.open_connection(self.host, self.port, limit=limit)
        return self._streams


async def send(writer: asyncio.StreamWriter, request: Request, host: str, connection: str) -> None:
    """A slow upload stops in the middle of its body: the server has the request, and waits for the rest."""
    head = f"{request.method} {request.path} HTTP/1.1\r\nHost: {host}\r\nConnection: {connection}\r\n"
    if request.body:
        head += f"Content-Type: text/plain\r\nContent-Length: {len(request.body)}\r\n"
    half = len(request.body) // 2 if request.pace is Pace.SLOW_UPLOAD else len(request.body)
    writer.write(head.encode() + b"\r\n" + request.body[:half])
    await writer.drain()
    if rest := request.body[half:]:
        await asyncio.sleep(request.seconds)
        writer.write(rest)
        await writer.drain()


async def receive(reader: asyncio.StreamReader, request: Request) -> Answer:
    """Read to the end of the answer."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(lines[0].split(" ", 2)[1])
    headers = {
        name.strip().lower(): value.strip().lower() for name, _, value in (line.partition(":") for line in lines[1:])
    }
    body = await receive_body(reader, headers, request)
    has_end = "content-length" in headers or "chunked" in headers.get("transfer-encoding", "")
    return Answer(status, body, is_last=not has_end or headers.get("connection") == "close")


async def receive_body(reader: asyncio.StreamReader, headers: dict[str, str], request: Request) -> bytes:
    """By chunks, by length, or to the end of the connection."""
    if "chunked" in headers.get("transfer-encoding", ""):
        parts = []
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            parts.append(await receive_exactly(reader, size, request))
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
        return b"".join(parts)
    if "content-length" in headers:
        return await receive_exactly(reader, int(headers["content-length"]), request)
    return await reader.read()


async def receive_exactly(reader: asyncio.StreamReader, size: int, request: Request) -> bytes:
    """A slow download rests between pieces, the seconds spread over all of them."""
    if request.pace is not Pace.SLOW_DOWNLOAD:
        return await reader.readexactly(size)
    parts = []
    for start in range(0, size, PIECE):
        parts.append(await reader.readexactly(min(PIECE, size - start)))
        await asyncio.sleep(request.seconds * PIECE / max(size, PIECE))
    return b"".join(parts)
