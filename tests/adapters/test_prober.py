"""Questions to real servers on this machine."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from deployments.adapters.prober import LocalProber
from deployments.adapters.supervisor.identity import find_by_environment
from deployments.domain.ports import ProbeOutcome, ProbeRequest
from tests.adapters.supervisor.worlds import wait_until

SHORT = timedelta(milliseconds=300)
LONG = timedelta(seconds=60)


class Server:
    """Answers each connection with the same bytes, or as `talk` does."""

    def __init__(self, answer: bytes, talk: Callable[[socket.socket], None] | None = None) -> None:
        self.questions: list[bytes] = []
        self._answer = answer
        self._talk = talk
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _address = self._listener.accept()
            except OSError:
                return
            with connection:
                try:
                    self.questions.append(connection.recv(65536))
                    connection.sendall(self._answer)
                    if self._talk:
                        self._talk(connection)
                except OSError:
                    continue

    def end(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(answer: bytes, talk: Callable[[socket.socket], None] | None = None) -> Server:
        servers.append(Server(answer, talk))
        return servers[-1]

    try:
        yield start
    finally:
        for server in servers:
            server.end()


def ask(kind: str = "http", *, timeout: timedelta = LONG, **fields: object) -> ProbeOutcome:
    return LocalProber().probe(ProbeRequest(kind=kind, timeout=timeout, **fields))  # type: ignore[arg-type]


def http(status: str = "200 OK", body: bytes = b"hello") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def test_the_expected_status_is_good(serve: Callable[..., Server]) -> None:
    outcome = ask(port=serve(http()).port)
    assert (outcome.is_good, outcome.was_measured, outcome.detail) == (True, True, "200")
    assert outcome.latency > timedelta(0)


def test_another_status_is_bad_and_named(serve: Callable[..., Server]) -> None:
    outcome = ask(port=serve(http("503 Service Unavailable")).port)
    assert (outcome.is_good, outcome.was_measured, outcome.detail) == (False, True, "503 instead of 200")


def test_any_of_several_statuses_is_good(serve: Callable[..., Server]) -> None:
    assert ask(port=serve(http("302 Found")).port, expect_status=(200, 302)).is_good


def test_a_missing_text_is_bad(serve: Callable[..., Server]) -> None:
    port = serve(http(body=b"all is well")).port
    assert ask(port=port, expect_text="well").is_good
    assert "without the text 'ill'" in ask(port=port, expect_text="ill").detail


def test_a_text_is_found_in_a_chunked_answer(serve: Callable[..., Server]) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
    assert ask(port=serve(chunked).port, expect_text="hello").is_good


def test_method_path_and_headers_are_sent(serve: Callable[..., Server]) -> None:
    server = serve(http(body=b""))
    ask(port=server.port, method="HEAD", path="/health?x=1", headers={"Host": "shop.example", "X-Test": "1"})
    lines = server.questions[0].decode().split("\r\n")
    assert lines[0] == "HEAD /health?x=1 HTTP/1.1"
    assert {"Host: shop.example", "X-Test: 1", "Connection: close"} <= set(lines)


def test_nobody_listening_is_a_bad_answer(serve: Callable[..., Server]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        for kind in ("http", "tcp"):
            outcome = ask(kind, port=port)
            assert (outcome.is_good, outcome.was_measured, outcome.detail) == (False, True, "connection refused")


@pytest.mark.parametrize(
    "answer", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Len"], ids=["none", "other", "cut"]
)
def test_an_answer_that_is_not_http_is_bad(serve: Callable[..., Server], answer: bytes) -> None:
    outcome = ask(port=serve(answer).port, expect_text="x")
    assert (outcome.is_good, outcome.was_measured) == (False, True)


def test_an_answer_in_drops_is_given_up_after_the_timeout_for_all_of_it(serve: Callable[..., Server]) -> None:
    stop = threading.Event()

    def drip(connection: socket.socket) -> None:
        while not stop.wait(0.02):
            connection.sendall(b"X-Drop: 1\r\n")

    try:
        outcome = ask(port=serve(b"HTTP/1.1 200 OK\r\n", drip).port, timeout=SHORT)
    finally:
        stop.set()
    assert (outcome.is_good, outcome.was_measured) == (False, True)


def test_silence_is_a_bad_answer(serve: Callable[..., Server]) -> None:
    stop = threading.Event()
    try:
        outcome = ask(port=serve(b"", lambda _connection: bool(stop.wait(60)) and None).port, timeout=SHORT)
    finally:
        stop.set()
    assert (outcome.is_good, outcome.was_measured, outcome.detail) == (False, True, "no answer in 0.3 s")


def test_an_accepted_connection_is_good(serve: Callable[..., Server]) -> None:
    assert ask("tcp", port=serve(b"").port).is_good


def test_a_command_that_exits_with_0_is_good() -> None:
    assert ask("command", command=("sh", "-c", "exit 0")).is_good


def test_a_command_that_fails_is_bad_and_its_last_line_is_told() -> None:
    outcome = ask("command", command=("sh", "-c", "echo first; echo wrong >&2; exit 3"))
    assert (outcome.is_good, outcome.was_measured, outcome.detail) == (False, True, "exited with 3: wrong")


def test_a_command_inherits_nothing_but_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hidden")
    command = ("sh", "-c", 'echo "${SECRET_TOKEN:-nothing} $WORD"')
    assert ask("command", command=command, environment={"WORD": "given"}).detail.endswith("nothing given")


def test_a_command_that_takes_too_long_is_ended_with_its_children() -> None:
    mark = {"PROBE_MARK": f"{os.getpid()}-{time.monotonic_ns()}"}
    outcome = ask("command", command=("sh", "-c", "sleep 1000 & sleep 1000"), environment=mark, timeout=SHORT)
    assert (outcome.is_good, outcome.was_measured) == (False, True)
    wait_until(lambda: not find_by_environment(mark), "the end of both")


UNASKED: list[dict[str, object]] = [
    {"kind": "carrier pigeon"},
    {"kind": "http"},
    {"kind": "tcp"},
    {"kind": "command"},
    {"kind": "command", "command": ("no-such-program",)},
]


@pytest.mark.parametrize("fields", UNASKED, ids=str)
def test_a_question_that_cannot_be_asked_is_not_measured(fields: dict[str, object]) -> None:
    outcome = ask(**fields)  # type: ignore[arg-type]  # the fields are the test's
    assert (outcome.is_good, outcome.was_measured) == (False, False)


def test_a_path_with_a_line_end_is_not_asked(serve: Callable[..., Server]) -> None:
    server = serve(http())
    assert not ask(port=server.port, path="/\r\nX-Evil: 1").was_measured
    assert not ask(port=server.port, path="/ü").was_measured or server.questions
