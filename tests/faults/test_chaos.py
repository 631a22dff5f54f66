"""Two faults at random times, for a few rounds of one seed: `python -m tests.faults.chaos` goes on with others."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.fakes.database import postgres_server
from tests.faults.chaos import Storm
from tests.faults.lane import Lane

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SEED, ROUNDS = 1, 5


def test_with_two_faults_at_random_times_every_deployment_ends_complete_or_back() -> None:
    directory = Path(tempfile.mkdtemp(prefix="fl-c-", dir="/tmp"))
    directory.chmod(0o755)
    try:
        with postgres_server() as server:
            lane = Lane(directory, server.url(server.create_database()))
            try:
                results = [Storm(lane, server, SEED).round(number)[0] for number in range(ROUNDS)]
            finally:
                lane.close()
    finally:
        shutil.rmtree(directory, ignore_errors=True)

    assert [(str(r.row.kind), r.row.boundary, r.wrong) for r in results if r.wrong] == []
