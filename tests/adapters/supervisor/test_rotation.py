"""Logs of running programs."""

from __future__ import annotations

from pathlib import Path

from deployments.adapters.supervisor.rotation import numbered, rotate


def test_a_small_log_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    log.write_text("small")
    assert not rotate(log, largest_bytes=5)
    assert log.read_text() == "small"


def test_a_log_that_is_not_there_is_left_alone(tmp_path: Path) -> None:
    assert not rotate(tmp_path / "api.log")


def test_a_writer_goes_on_in_the_emptied_log_and_the_oldest_copy_goes(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    with log.open("ab", buffering=0) as writer:
        for number in range(5):
            writer.write(b"%d" % number * 10)
            assert rotate(log, largest_bytes=5, kept=3)
        writer.write(b"now")
    kept = [numbered(log, number).read_text()[0] for number in (1, 2, 3)]
    assert (log.read_text(), kept, numbered(log, 4).exists()) == ("now", ["4", "3", "2"], False)
