"""This machine, looked at."""

from __future__ import annotations

import os
from pathlib import Path

from deployments.adapters.machine import LocalMachine


def test_the_machine_has_what_every_machine_has(tmp_path: Path) -> None:
    facts = LocalMachine(tmp_path).observe()
    assert 1 <= facts.cpus <= (os.cpu_count() or 1)
    assert 0 < facts.memory_available_mb <= facts.memory_total_mb
    assert facts.disk_free_mb > 0


def test_a_state_directory_that_is_not_there_yet_is_no_trouble(tmp_path: Path) -> None:
    assert LocalMachine(tmp_path / "not" / "yet").observe().disk_free_mb > 0
    assert not (tmp_path / "not").exists()
