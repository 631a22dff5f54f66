"""The arithmetic of medians, percentiles and ratios."""

from __future__ import annotations

import math

import pytest

from benchmarks.measuring import median, percentile, ratio, seconds_of, share_over


@pytest.mark.parametrize(
    ("values", "expected"),
    [([3.0], 3.0), ([9.0, 1.0, 2.0], 2.0), ([4.0, 1.0, 2.0, 3.0], 2.5)],
    ids=["one", "odd", "even"],
)
def test_the_median_is_the_middle(values: list[float], expected: float) -> None:
    assert median(values) == expected


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.5, 50.0), (0.95, 95.0), (0.99, 99.0), (0.991, 100.0), (1.0, 100.0)],
)
def test_a_percentile_is_the_nearest_rank(share: float, expected: float) -> None:
    assert percentile([float(value) for value in range(100, 0, -1)], share) == expected


def test_nothing_measured_is_an_error_and_not_zero() -> None:
    for compute in (median, lambda values: percentile(values, 0.5)):
        with pytest.raises(ValueError, match="nothing was measured"):
            compute([])


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01])
def test_a_percentile_needs_a_share(share: float) -> None:
    with pytest.raises(ValueError, match="not a share"):
        percentile([1.0], share)


def test_ratios_are_against_the_reference() -> None:
    assert ratio(6.0, 2.0) == 3.0
    assert ratio(1.0, 0.0) == math.inf
    assert share_over(57.5, 50.0) == 0.15
    assert share_over(45.0, 50.0) == -0.1


def test_an_act_is_done_as_often_as_asked() -> None:
    done: list[int] = []
    assert seconds_of(lambda: done.append(1), times=3) >= 0
    assert len(done) == 3
