"""Arithmetic of measurements, and nothing else."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence


def median(values: Sequence[float]) -> float:
    """The middle one. Raises ValueError when there is none."""
    if not values:
        raise ValueError("nothing was measured")
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all values do not exceed (nearest rank). Raises ValueError."""
    if not values:
        raise ValueError("nothing was measured")
    if not 0 < share <= 1:
        raise ValueError(f"{share} is not a share above 0 and up to 1")
    return sorted(values)[math.ceil(share * len(values)) - 1]


def ratio(measured: float, reference: float) -> float:
    """How many times the reference; infinite where the reference took no time."""
    return measured / reference if reference else math.inf


def share_over(measured: float, reference: float) -> float:
    """What it took more than the reference, as a share of it; below 0 where it took less."""
    return ratio(measured - reference, reference)


def seconds_of(act: Callable[[], object], *, times: int) -> float:
    """Median seconds of one call."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        taken.append(time.perf_counter() - began)
    return median(taken)
