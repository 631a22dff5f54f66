"""Watching a deployment while its records go away and come back."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from deployments.cli.progress.board import Board
from deployments.cli.progress.following import Follower
from deployments.domain.events import Event
from deployments.store.records import Records
from tests.driver.stage import Stage, specification
from tests.fakes.database import PostgresServer
from tests.fakes.relay import relay_to


@dataclass
class Said:
    """A view that keeps what it was told."""

    wants_traffic: bool = False
    lines: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.lines.append(text)

    def show(self, board: Board, events: Sequence[Event]) -> None:
        self.events += events

    def close(self) -> None:
        """Nothing to close."""


def test_records_that_are_away_are_told_once_and_so_is_their_return(
    postgres: PostgresServer, fresh_database_url: str, tmp_path: Path
) -> None:
    stage, view = Stage(fresh_database_url, tmp_path), Said()
    stage.deploy(specification())
    own = Path(tempfile.mkdtemp(prefix="fl-r-", dir="/tmp"))
    try:
        with relay_to(postgres.directory, own) as relay, Records(relay.url(fresh_database_url)) as remote:
            follower = Follower(replace(stage.world(), records=remote), view)
            relay.refuse()
            for _ in range(2):
                follower.look(stage.last().id)
            relay.allow()
            for _ in range(2):
                follower.look(stage.last().id)
    finally:
        shutil.rmtree(own, ignore_errors=True)
        stage.close()

    away, back = view.lines
    assert "did not answer" in away
    assert "waits for it" in away
    assert back == "It answers again."
    assert len(view.events) == len({event.sequence for event in view.events}) > 0
