"""Ports reserved for keys."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deployments.adapters.provisioner import ports
from deployments.adapters.provisioner.ports import PortBook, candidate_ports, is_free
from deployments.domain.errors import Broken


@pytest.fixture
def book(tmp_path: Path) -> PortBook:
    return PortBook(tmp_path / "state", claims=tmp_path / "claims")


def test_a_key_keeps_its_port_while_it_is_free(book: PortBook, tmp_path: Path) -> None:
    port = book.reserve("api")
    assert book.reserve("api") == port
    assert PortBook(tmp_path / "state", claims=tmp_path / "claims").reserve("api") == port


def test_keys_have_ports_of_their_own(book: PortBook) -> None:
    assert len({book.reserve(f"api-{number}") for number in range(50)}) == 50


def test_a_key_whose_port_was_taken_by_somebody_gets_another(book: PortBook) -> None:
    port = book.reserve("api")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        assert not is_free(port)
        assert book.reserve("api") != port


def test_a_port_given_back_is_no_longer_reserved(book: PortBook) -> None:
    book.reserve("api")
    book.release("api")
    book.release("api")
    assert book.reserved("api") is None


def test_state_directories_do_not_share_a_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "candidate_ports", lambda: [port for port in range(20000, 32000) if is_free(port)][:2])
    one, two = (PortBook(tmp_path / name, claims=tmp_path / "claims") for name in ("one", "two"))
    assert one.reserve("api") != two.reserve("api")
    with pytest.raises(Broken, match="no port is free"):
        two.reserve("web")
    one.release("api")
    assert two.reserve("web")


def test_claims_of_a_state_directory_that_is_gone_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "candidate_ports", lambda: [port for port in range(20000, 32000) if is_free(port)][:1])
    port = PortBook(tmp_path / "gone", claims=tmp_path / "claims").reserve("api")
    shutil.rmtree(tmp_path / "gone")
    assert PortBook(tmp_path / "here", claims=tmp_path / "claims").reserve("api") == port


def test_processes_that_reserve_at_once_get_different_ports(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from deployments.adapters.provisioner.ports import PortBook\n"
        "book = PortBook(Path(sys.argv[1]) / sys.argv[2], claims=Path(sys.argv[1]) / 'claims')\n"
        "print(*[book.reserve(f'{sys.argv[3]}-{n}') for n in range(20)])"
    )
    arguments = [("one", "a"), ("one", "b"), ("two", "a"), ("two", "b")]
    commands = [[sys.executable, "-c", code, str(tmp_path), *words] for words in arguments]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    found = [port for process in running for port in process.communicate(timeout=120)[0].split()]
    assert len(found) == 80
    assert len(set(found)) == 80


def test_ephemeral_ports_are_left_to_the_kernel(tmp_path: Path) -> None:
    (tmp_path / "range").write_text("32768\t60999\n")
    found = candidate_ports(tmp_path / "range")
    assert (min(found), max(found)) == (20000, 65535)
    assert not [port for port in found if 32768 <= port <= 60999]


@pytest.mark.parametrize("text", ["1024 65535", "nonsense"])
def test_where_everything_is_ephemeral_there_are_ports_all_the_same(tmp_path: Path, text: str) -> None:
    (tmp_path / "range").write_text(text)
    assert len(candidate_ports(tmp_path / "range")) > 1000
