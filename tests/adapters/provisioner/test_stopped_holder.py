"""A process that is stopped while it holds the book of ports."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from deployments.adapters.provisioner import ports
from deployments.adapters.provisioner.ports import PortBook


def test_a_holder_of_the_book_that_was_stopped_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "LOCK_SECONDS", 0.1)
    book = PortBook(tmp_path / "state", claims=tmp_path / "claims")
    (tmp_path / "claims").mkdir()
    lock = os.open(tmp_path / "claims" / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        assert book.reserve("api") != book.reserve("web")
        book.release("api")
        assert book.reserved("api") is None
    finally:
        os.close(lock)
