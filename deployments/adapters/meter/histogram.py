"""Latencies in buckets that grow with the latency: each is at most a seventh wider than the one before."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

PERCENTILES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}
_LONGEST_MS = 24 * 3600 * 1000


def _bounds() -> tuple[int, ...]:
    bounds = [0]
    while bounds[-1] < _LONGEST_MS:
        bounds.append(bounds[-1] + max(1, bounds[-1] // 7))
    return tuple(bounds)


BOUNDS_MS = _bounds()
"""The upper bound of each bucket, inclusive. The last one takes everything above, too."""


def bucket_of(milliseconds: int) -> int:
    """The index of the bucket which a latency falls into."""
    return min(bisect_left(BOUNDS_MS, milliseconds), len(BOUNDS_MS) - 1)


def summarise(buckets: Mapping[int, int], *, longest_ms: int) -> dict[str, float]:
    """p50, p90, p95, p99 by the upper bound of their bucket, at most `longest_ms`; and max. In milliseconds."""
    total = sum(buckets.values())
    summary = {name: _percentile(buckets, share * total, longest_ms) for name, share in PERCENTILES.items()}
    return {**summary, "max": float(longest_ms)}


def _percentile(buckets: Mapping[int, int], rank: float, longest_ms: int) -> float:
    seen = 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= rank:
            return float(min(BOUNDS_MS[bucket], longest_ms))
    return 0.0
