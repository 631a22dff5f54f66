"""A relay between a controller and its PostgreSQL that loses what it is told to lose.

A question that never arrives, an answer that is lost after the commit, a server that cannot be reached for a time: what
networks and dying servers do, at a statement of the test's choosing. It reads the protocol only as far as it must: it
looks for a statement's text in what the client sends, and for the server's `ReadyForQuery`.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

READY_FOR_QUERY, IDLE = b"Z", b"I"
SOCKET = ".s.PGSQL.5432"


class Relay:
    """Listens in a directory as PostgreSQL does, and passes everything on to the server of another directory."""

    def __init__(self, server: Path, own: Path) -> None:
        """`own` is short, and empty. Passes everything until told otherwise."""
        self._server, self._own = server, own
        self.cuts = 0
        """Connections that were cut at an armed statement."""
        self._lock = threading.Lock()
        self._pairs: set[_Pair] = set()
        self._is_refusing = False
        self._question: bytes | None = None
        self._answer: bytes | None = None
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(own / SOCKET))
        self._listener.listen(64)
        self._acceptor = threading.Thread(target=self._accept, name="relay", daemon=True)
        self._acceptor.start()

    def url(self, direct: str) -> str:
        """A direct address, by way of the relay."""
        return direct.replace(f"host={self._server}", f"host={self._own}")

    def lose_question(self, statement: str) -> None:
        """Cut the next connection that asks this, before the server hears of it."""
        with self._lock:
            self._question, self._answer = statement.encode(), None

    def lose_answer(self, statement: str) -> None:
        """Cut the next connection that asks this, when the server has committed it and says so."""
        with self._lock:
            self._question, self._answer = None, statement.encode()

    def forgive(self) -> None:
        """Cut nobody, unless it is told so again."""
        with self._lock:
            self._question = self._answer = None

    def refuse(self) -> None:
        """Cut everybody, and let nobody in."""
        with self._lock:
            self._is_refusing = True
            pairs = list(self._pairs)
        for pair in pairs:
            pair.cut()

    def allow(self) -> None:
        """Let everybody in again."""
        with self._lock:
            self._is_refusing = False

    def close(self) -> None:
        """End the relay and everything that passes through it."""
        self.refuse()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(timeout=10)
        for pair in list(self._pairs):
            pair.join()

    def is_lost_question(self, sent: bytes) -> bool:
        """Whether the client is cut for what it sent."""
        with self._lock:
            if self._question is None or self._question not in sent:
                return False
            self._question = None
            self.cuts += 1
            return True

    def is_lost_answer(self, sent: bytes) -> bool:
        """Whether the answer to what the client sent will be lost."""
        with self._lock:
            if self._answer is None or self._answer not in sent:
                return False
            self._answer = None
            self.cuts += 1
            return True

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            with self._lock:
                is_refusing = self._is_refusing
                try:
                    if not is_refusing:
                        server.connect(str(self._server / SOCKET))
                        self._pairs.add(_Pair(self, client, server, self._forget))
                        continue
                except OSError:
                    pass
            server.close()
            client.close()

    def _forget(self, pair: _Pair) -> None:
        with self._lock:
            self._pairs.discard(pair)


class _Pair:
    """One connection of a client, and its connection to the server."""

    def __init__(
        self, relay: Relay, client: socket.socket, server: socket.socket, forget: Callable[[_Pair], None]
    ) -> None:
        self._relay, self._client, self._server, self._forget = relay, client, server, forget
        self._is_doomed = False
        self._threads = [
            threading.Thread(target=self._run, args=(work,), name="relay-pair", daemon=True)
            for work in (self._pass_questions, self._pass_answers)
        ]
        for thread in self._threads:
            thread.start()

    def cut(self) -> None:
        """As a network does: both sides find the connection closed."""
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def join(self) -> None:
        """Wait for its threads."""
        for thread in self._threads:
            thread.join(timeout=10)

    def _run(self, work: Callable[[], None]) -> None:
        with contextlib.suppress(OSError):
            work()
        self.cut()
        if work == self._pass_answers:
            self._threads[0].join(timeout=10)
            self._client.close()
            self._server.close()
            self._forget(self)

    def _pass_questions(self) -> None:
        while sent := self._client.recv(1 << 16):
            if self._relay.is_lost_question(sent):
                return
            self._is_doomed = self._relay.is_lost_answer(sent) or self._is_doomed
            self._server.sendall(sent)

    def _pass_answers(self) -> None:
        """A doomed connection hears nothing of the statement that ends its transaction."""
        held = b""
        for message in messages(self._server):
            if not self._is_doomed:
                self._client.sendall(held + message)
                held = b""
            elif message[:1] != READY_FOR_QUERY:
                held += message
            elif message[5:6] == IDLE:
                return
            else:
                self._client.sendall(held + message)
                held = b""


def messages(server: socket.socket) -> Iterator[bytes]:
    """What a server says, message by message: a letter, a length, the rest."""
    while head := receive(server, 5):
        (length,) = struct.unpack("!i", head[1:])
        yield head + receive(server, length - 4)


def receive(server: socket.socket, count: int) -> bytes:
    """So many bytes; nothing at the end of the connection."""
    found = b""
    while len(found) < count:
        part = server.recv(count - len(found))
        if not part:
            return b""
        found += part
    return found


@contextlib.contextmanager
def relay_to(server: Path, own: Path) -> Iterator[Relay]:
    """A relay that ends with the block."""
    own.mkdir(exist_ok=True)
    relay = Relay(server, own)
    try:
        yield relay
    finally:
        relay.close()
