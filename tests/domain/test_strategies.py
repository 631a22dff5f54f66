"""What each strategy does at each moment, and how it divides the traffic."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.domain.spec.strategy import BlueGreen, Recreate, Rolling
from deployments.domain.strategies.decision import (
    AGAIN,
    FULL,
    Abort,
    Decision,
    Hold,
    Progress,
    Promote,
    Shift,
    even,
)
from deployments.domain.strategies.table import STRATEGIES
from deployments.domain.values import Verdict

NEW, OLD = ("n1", "n2", "n3"), ("o1", "o2")
LATE = Abort("The progress deadline of 60 s has passed.")
FAILED = Abort("A check of the new release failed.")
EVERY = sorted(STRATEGIES)
PATIENT = ["blue_green", "rolling"]


def progress(*, done: int = 0, stages: int = 1, elapsed: float = 1, since: float = 0, pause: float = 0) -> Progress:
    """Where a rollout with a deadline of one minute stands."""
    return Progress(
        stages_done=done,
        stages=stages,
        elapsed=timedelta(seconds=elapsed),
        deadline=timedelta(seconds=60),
        since_shift=timedelta(seconds=since),
        pause=timedelta(seconds=pause),
    )


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize(
    ("present", "verdict", "decision"),
    [
        (progress(), Verdict.GOOD, Shift(1)),
        (progress(stages=3), Verdict.GOOD, Shift(1)),
        (progress(done=1), Verdict.GOOD, Promote()),
        (progress(elapsed=60), Verdict.GOOD, Shift(1)),
        (progress(elapsed=61), Verdict.GOOD, LATE),
        (progress(elapsed=61), Verdict.UNCLEAR, LATE),
        (progress(), Verdict.BAD, FAILED),
        (progress(elapsed=61), Verdict.BAD, FAILED),
        (progress(done=1), Verdict.BAD, FAILED),
    ],
    ids=[
        "good: shift",
        "good, several stages: shift the first",
        "all done and good: promote",
        "at the deadline: still in time",
        "after the deadline: abort",
        "after the deadline, unclear: abort",
        "bad: abort",
        "bad and late: bad is the reason",
        "all done, but bad: abort",
    ],
)
def test_every_strategy_decides_alike(kind: str, present: Progress, verdict: Verdict, decision: Decision) -> None:
    assert STRATEGIES[kind].decide(present, verdict) == decision


@pytest.mark.parametrize("kind", PATIENT)
@pytest.mark.parametrize("verdict", [Verdict.UNCLEAR, Verdict.UNMEASURED])
def test_while_nothing_is_clear_traffic_stays_and_is_looked_at_again(kind: str, verdict: Verdict) -> None:
    assert STRATEGIES[kind].decide(progress(), verdict) == Hold(AGAIN, f"The checks are {verdict}.")


@pytest.mark.parametrize("verdict", [Verdict.UNCLEAR, Verdict.UNMEASURED])
def test_recreate_aborts_when_nothing_is_clear_because_requests_wait(verdict: Verdict) -> None:
    decision = STRATEGIES["recreate"].decide(progress(), verdict)
    assert decision == Abort(f"The checks are {verdict}, and requests are waiting.")


@pytest.mark.parametrize(
    ("present", "decision"),
    [
        (progress(stages=3, pause=10), Shift(1)),
        (progress(done=1, stages=3, since=4, pause=10), 6),
        (progress(done=1, stages=3, since=10, pause=10), Shift(2)),
        (progress(done=2, stages=3, since=11, pause=10), Shift(3)),
        (progress(done=3, stages=3, since=0, pause=10), 10),
        (progress(done=3, stages=3, since=10, pause=10), Promote()),
        (progress(done=1, stages=3), Shift(2)),
    ],
    ids=[
        "the first batch does not wait",
        "the rest of the pause",
        "the pause is over",
        "longer than the pause",
        "the last batch pauses too",
        "promote after the last pause",
        "no pause",
    ],
)
def test_rolling_lets_each_batch_carry_traffic_for_its_pause(present: Progress, decision: Decision | int) -> None:
    found = STRATEGIES["rolling"].decide(present, Verdict.GOOD)
    if isinstance(decision, int):
        assert found == Hold(timedelta(seconds=decision), "The batch has not carried traffic long enough.")
    else:
        assert found == decision


@pytest.mark.parametrize(
    ("strategy", "old", "stages"),
    [
        (BlueGreen(), OLD, [(NEW, {"n1": 85, "n2": 85, "n3": 85, "o1": 0, "o2": 0})]),
        (BlueGreen(), (), [(NEW, {"n1": 85, "n2": 85, "n3": 85})]),
        (Recreate(), OLD, [(NEW, {"n1": 85, "n2": 85, "n3": 85})]),
        (
            Rolling(batch=1),
            OLD,
            [
                (("n1",), {"n1": 85, "o1": 85, "o2": 85}),
                (("n2",), {"n1": 85, "n2": 85, "o1": 43, "o2": 43}),
                (("n3",), {"n1": 85, "n2": 85, "n3": 85, "o1": 0, "o2": 0}),
            ],
        ),
        (
            Rolling(batch=2),
            OLD,
            [
                (("n1", "n2"), {"n1": 85, "n2": 85, "o1": 43, "o2": 43}),
                (("n3",), {"n1": 85, "n2": 85, "n3": 85, "o1": 0, "o2": 0}),
            ],
        ),
        (Rolling(batch=9), OLD, [(NEW, {"n1": 85, "n2": 85, "n3": 85, "o1": 0, "o2": 0})]),
    ],
    ids=[
        "blue_green: all at once",
        "blue_green for the first time",
        "recreate: the old are gone",
        "rolling one by one",
        "rolling by two: the last batch is smaller",
        "rolling with a batch beyond all",
    ],
)
def test_stages_and_weights(
    strategy: BlueGreen | Rolling | Recreate,
    old: tuple[str, ...],
    stages: list[tuple[tuple[str, ...], dict[str, int]]],
) -> None:
    found = STRATEGIES[strategy.kind].stages(strategy, new=NEW, old=old)
    assert [(stage.instances, dict(stage.weights)) for stage in found] == stages
    assert [stage.index for stage in found] == list(range(1, len(stages) + 1))


def test_rolling_hands_its_pause_to_every_stage() -> None:
    strategy = Rolling(batch=1, pause=timedelta(seconds=7))
    stages = STRATEGIES["rolling"].stages(strategy, new=NEW, old=OLD)
    assert {stage.pause for stage in stages} == {timedelta(seconds=7)}


def test_only_recreate_holds_requests() -> None:
    assert {kind: rules.has_hold for kind, rules in STRATEGIES.items()} == {
        "blue_green": False,
        "rolling": False,
        "recreate": True,
    }


@pytest.mark.parametrize(
    ("instances", "share", "weights"),
    [
        ((), 1.0, {}),
        (("a",), 1.0, {"a": FULL}),
        (("a", "b"), 0.5, {"a": 64, "b": 64}),
        (("a", "b"), 0.0, {"a": 0, "b": 0}),
        (("a",), -0.1, {"a": 0}),
        (("a", "b"), 0.000001, {"a": 1, "b": 1}),
        (("a",), 2.0, {"a": FULL}),
    ],
    ids=["nobody", "one", "half of it", "none of it", "less than none", "hardly any", "more than all"],
)
def test_weights_are_even(instances: tuple[str, ...], share: float, weights: dict[str, int]) -> None:
    assert even(instances, share) == weights


@given(new=st.integers(1, 50), old=st.integers(0, 50), batch=st.integers(1, 100))
def test_rolling_starts_each_instance_once_and_ends_with_all_the_traffic_on_the_new(
    new: int, old: int, batch: int
) -> None:
    names, present = [f"n{n}" for n in range(new)], [f"o{n}" for n in range(old)]
    stages = STRATEGIES["rolling"].stages(Rolling(batch=batch), new=names, old=present)
    assert [instance for stage in stages for instance in stage.instances] == names
    for stage in stages:
        assert set(present) <= set(stage.weights), "every old instance is named"
        assert all(0 <= weight <= FULL for weight in stage.weights.values())
        assert any(stage.weights.values()), "somebody carries the traffic"
    assert all(stages[-1].weights[name] > 0 for name in names)
    assert not any(stages[-1].weights[name] for name in present)
