"""What becomes of a run whose process has ended."""

from __future__ import annotations

import pytest
from prefect.client.schemas.objects import StateType

from flows.runner.conclusion import (
    Conclusion,
    MarkCancelled,
    MarkCrashed,
    Nothing,
    StartAgain,
    decide_conclusion,
)

CASES = [
    ("it completed", StateType.COMPLETED, False, True, 0, Nothing),
    ("it failed", StateType.FAILED, False, True, 1, Nothing),
    ("it reported its crash", StateType.CRASHED, False, True, 143, Nothing),
    ("it waits for its next try", StateType.SCHEDULED, False, True, 0, Nothing),
    ("it was suspended", StateType.PAUSED, False, True, 0, Nothing),
    ("it was deleted", None, False, True, 0, Nothing),
    ("it was killed", StateType.RUNNING, False, True, -9, MarkCrashed),
    ("it vanished while nobody looked", StateType.RUNNING, False, True, None, MarkCrashed),
    ("it ended well without saying so", StateType.RUNNING, False, True, 0, MarkCrashed),
    ("it was killed before it began to run", StateType.PENDING, False, True, -9, MarkCrashed),
    ("it was claimed and never started", StateType.PENDING, False, False, None, StartAgain),
    ("it was cancelled", StateType.CANCELLING, True, True, 0, MarkCancelled),
    ("it was cancelled while nobody looked", StateType.CANCELLING, False, True, None, MarkCancelled),
    ("it reported the signal that cancelled it as a crash", StateType.CRASHED, True, True, 143, MarkCancelled),
    ("it completed before the signal came", StateType.COMPLETED, True, True, 0, Nothing),
]


@pytest.mark.parametrize(
    ("state", "was_cancelled", "has_begun", "status", "expected"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_a_run_is_concluded_from_its_state_and_its_process(
    state: StateType | None, was_cancelled: bool, has_begun: bool, status: int | None, expected: type[Conclusion]
) -> None:
    decided = decide_conclusion(state, was_cancelled=was_cancelled, has_begun=has_begun, status=status)
    assert type(decided) is expected


@pytest.mark.parametrize(
    ("status", "words"), [(-9, "was ended by signal 9"), (3, "ended with status 3"), (None, "was gone")]
)
def test_the_message_says_how_the_process_ended(status: int | None, words: str) -> None:
    decided = decide_conclusion(StateType.RUNNING, was_cancelled=False, has_begun=True, status=status)
    assert isinstance(decided, MarkCrashed)
    assert words in decided.message
