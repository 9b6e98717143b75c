"""Repeated, interleaved timing of contenders that do the same work."""

import math
import time
from dataclasses import dataclass

__all__ = ["Timing", "interleaved_timings", "quantile"]


@dataclass(frozen=True)
class Timing:
    """Times of one contender.

    Attributes:
        median_ms: middle of its runs.
        low_ms: first quartile.
        high_ms: third quartile.
        runs: how many runs were timed.
    """

    median_ms: float
    low_ms: float
    high_ms: float
    runs: int


def quantile(values, share):
    """Return a quantile of numbers, linear between neighbours.

    Args:
        values: at least one number.
        share: 0 (smallest) to 1 (largest).

    Raises:
        ValueError: for no values or a share out of range.
    """
    if not values or not 0 <= share <= 1:
        raise ValueError("a quantile needs at least one value and a share from 0 to 1")
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def interleaved_timings(contenders, runs, warm_up=1):
    """Time contenders in turn, so that what slows the machine down for a while slows all of them.

    Args:
        contenders: dict of name to a function without arguments.
        runs: timed runs of each.
        warm_up: runs of each before, not timed.

    Returns:
        dict of name to `Timing`.
    """
    times = {name: [] for name in contenders}
    for turn in range(warm_up + runs):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            if turn >= warm_up:
                times[name].append(1e3 * (time.perf_counter() - start))
    return {
        name: Timing(quantile(t, 0.5), quantile(t, 0.25), quantile(t, 0.75), len(t))
        for name, t in times.items()
    }
