"""The demo's visitors: one request is sent once, and what became of it is known."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from examples.demo.accounting import Books
from examples.demo.visitors import Visitors
from examples.demo.wire import Answer, Connection, Pace, Request

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n"
GET = Request("GET", "/")


@asynccontextmanager
async def server(talk: Talk) -> Any:
    """Serve on a port of the system's choice; yields it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (EOFError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        await listening.wait_closed()


async def heads(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def visit(talk: Talk, *, is_kept: bool = True, times: int = 1, request: Request = GET) -> list[Answer]:
    async with server(talk) as port:
        connection = Connection("127.0.0.1", port, is_kept)
        try:
            return [await asyncio.wait_for(connection.ask(request), 30) for _ in range(times)]
        finally:
            connection.close()


@pytest.mark.parametrize("page", [PAGE, CHUNKED], ids=["by length", "in chunks"])
@pytest.mark.parametrize(("is_kept", "connections"), [(True, 1), (False, 3)], ids=["kept", "new"])
def test_a_connection_is_kept_or_not_as_asked(page: bytes, is_kept: bool, connections: int) -> None:
    seen = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer)
        while True:
            await heads(reader)
            writer.write(page)

    answers = asyncio.run(visit(talk, is_kept=is_kept, times=3))
    assert [(answer.status, answer.body) for answer in answers] == [(200, b"ok")] * 3
    assert len(seen) == connections


def test_a_connection_that_the_server_announced_to_close_is_not_used_again() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await heads(reader)
        writer.write(PAGE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
        await writer.drain()

    assert [answer.is_last for answer in asyncio.run(visit(talk, times=2))] == [True, True]


def test_an_answer_without_length_ends_with_its_connection() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await heads(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nto the end")

    assert asyncio.run(visit(talk))[0] == Answer(200, b"to the end", is_last=True)


@pytest.mark.parametrize(
    "sent", [b"", PAGE[:10], PAGE[:-1], CHUNKED[:-4]], ids=["nothing", "a head", "a body", "a chunk"]
)
def test_an_answer_that_is_cut_short_is_a_failure_and_is_not_asked_for_again(sent: bytes) -> None:
    requests = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await heads(reader))
        writer.write(sent)

    with pytest.raises(EOFError):
        asyncio.run(visit(talk))
    assert len(requests) == 1


def test_a_slow_upload_is_on_the_way_before_its_body_is_complete() -> None:
    parts = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await heads(reader)
        parts.append(await reader.read(100))
        parts.append(await reader.read(100))
        writer.write(PAGE)

    request = Request("POST", "/", b"selection", Pace.SLOW_UPLOAD, seconds=0.2)
    assert asyncio.run(visit(talk, request=request))[0].body == b"ok"
    assert parts == [b"sele", b"ction"]


def test_a_slow_download_is_complete_in_the_end() -> None:
    body = bytes(100_000)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await heads(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + body)
        await writer.drain()

    request = Request("GET", "/", pace=Pace.SLOW_DOWNLOAD, seconds=0.2)
    assert asyncio.run(visit(talk, request=request))[0].body == body


def test_the_load_accounts_for_every_request_that_it_sent(tmp_path: Path) -> None:
    counted: list[str] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await heads(reader)
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
            await reader.readexactly(length)
            counted.append(head.split(b" ", 1)[0].decode())
            body = b'[{"airports":7861}]' if length else b"release 1.0.0"
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    async def play() -> Books:
        async with server(talk) as port:
            urls = dict.fromkeys(("catalogue", "api", "gateway"), f"http://127.0.0.1:{port}")
            visitors = Visitors.arrive(urls, tmp_path / "ledger")
            try:
                await asyncio.to_thread(visitors.wait_for, 30)
                return await asyncio.to_thread(visitors.leave)
            finally:
                visitors.end()

    books = asyncio.run(play())
    assert books.sent == len(books.lines) == len(counted) >= 30
    assert books.failed == []
    assert set(books.by_way) == {"kept", "new", "slow"}
    assert sum(books.by_release.values()) == books.sent
