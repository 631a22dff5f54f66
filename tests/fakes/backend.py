"""A small real web service to put behind a proxy, in the test's own process: it names its release in each answer."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Self


class Backend:
    """Serves on a free port of 127.0.0.1 from a thread, as a context manager.

    `/slow/SECONDS` answers after that time; `/status/CODE` with that code; `/stream` sends lines until the client
    leaves; anything else answers at once.
    """

    def __init__(self, release: str, *, status: int = 200, port: int = 0) -> None:
        """`release` goes into the header `x-release`; `status` is what ordinary paths answer; port 0 is a free one."""
        self.release = release
        self.status = status
        self.port = port
        self.served = 0
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait(timeout=60)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop listening and cut every connection; a second time is fine."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._done.set)
            self._thread.join()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._done = asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, backlog=2048)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._done.wait()
        # Accept no more, and let what was accepted arrive: a server that is closed in between forgets to close it.
        for listener in server.sockets:
            self._loop.remove_reader(listener.fileno())
        for _ in range(5):
            await asyncio.sleep(0)
        server.close()
        # A transport closes its socket in the next round.
        for _ in range(2):
            for task, writer in self._connections.items():
                writer.transport.abort()
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)
            await asyncio.sleep(0)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve_connection(reader, writer))
        self._connections[task] = writer
        task.add_done_callback(self._connections.pop)

    async def _serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._answer(reader, writer):
                    pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        await reader.readexactly(int(headers.get("content-length", "0")))
        _, name, *rest = [*head[0].split()[1].split("/"), ""]
        status, argument = self.status, rest[0]
        if name == "slow":
            await asyncio.sleep(float(argument))
        elif name == "status":
            status = int(argument)
        elif name == "stream":
            await self._stream(writer)
            return False
        self.served += 1
        body = f"{self.release}\n".encode()
        closes = headers.get("connection", "").lower() == "close"
        writer.write(
            f"HTTP/1.1 {status} Said\r\nx-release: {self.release}\r\ncontent-length: {len(body)}\r\n"
            f"connection: {'close' if closes else 'keep-alive'}\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        return not closes

    async def _stream(self, writer: asyncio.StreamWriter) -> None:
        self.served += 1
        writer.write(f"HTTP/1.1 200 OK\r\nx-release: {self.release}\r\nconnection: close\r\n\r\n".encode())
        while not writer.is_closing():
            writer.write(b"data: on\n\n")
            await writer.drain()
            await asyncio.sleep(0.05)
