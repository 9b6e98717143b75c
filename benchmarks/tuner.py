"""Finds the fastest way to run a bundle within limits, in a fraction of the time of trying every one.

What pays is nearly separable: which provider and precision, then how many clips share a call, then whether
fewer threads keep to a limit that all of them break. So it first tries every provider and precision once, at
one clip a call on every core; then doubles the clips a call of the best of them while that pays; then takes
threads away where memory or latency are over their limits. Each trial is short. Those near the best are
tried again, in turn, so that the choice does not hang on one slow moment of the machine.
"""

from dataclasses import dataclass, replace

from flowtell.benchmarks.settings_grid import Point
from flowtell.benchmarks.statistics import quantile

__all__ = ["Choice", "Limits", "race", "tune"]

FINALISTS, TURNS = 3, 2
"""So many are raced, where so many may still be the best, in so many turns."""

_MAY_STILL_WIN = 0.25
"""A machine that others share moves a single short trial by so much: what lies within is raced."""

_CLIMBERS = 2


@dataclass(frozen=True)
class Limits:
    """What a choice has to keep to; None is no limit.

    Attributes:
        drift: largest difference of a logit from the reference's; a flipped verdict is never within it.
        latency_ms: of a call while the detector is kept busy.
        memory_mb: largest resident memory of the process.
    """

    drift: float = 0.25
    latency_ms: float | None = None
    memory_mb: float | None = None

    def broken_by(self, measured):
        """Return which of them a `Measured` breaks, in words; an empty list where it may be chosen."""
        if measured.failed:
            return [measured.failed]
        broken = []
        if measured.verdict_flips:
            broken.append(f"{measured.verdict_flips} verdicts flip")
        if not measured.logit_drift <= self.drift:
            broken.append(f"a logit differs by {measured.logit_drift:.2g}, over {self.drift:g}")
        if self.latency_ms is not None and measured.latency_ms > self.latency_ms:
            broken.append(f"a call takes {measured.latency_ms:.0f} ms, over {self.latency_ms:g}")
        if self.memory_mb is not None and measured.peak_memory_mb > self.memory_mb:
            broken.append(f"it takes {measured.peak_memory_mb:.0f} MB, over {self.memory_mb:g}")
        return broken


@dataclass(frozen=True)
class Choice:
    """What the tuner found.

    Attributes:
        point: the `Point`; None where none keeps to the limits.
        measured: its `Measured`, the rate the median of its trials; None where there is none.
        trials: `(Point, Measured)` of every trial, in order.
    """

    point: object
    measured: object
    trials: tuple


def tune(grid, measure, limits):
    """Return the `Choice` of a grid.

    Args:
        grid: a `Grid`; of its `pairs` the first is used.
        measure: function from a `Point` to its `Measured`.
        limits: the `Limits`.
    """
    search = _Search(grid, measure, limits)
    for provider, precision in grid.ways():
        search.look(provider, precision, max(grid.threads), min(grid.clips_per_call))
    for leader in search.leaders()[:_CLIMBERS]:
        search.climb(leader)
    if not search.leaders():
        search.shrink()
    race(search.near_the_best(), search.measure_again, TURNS)
    best = search.leaders()[:1]
    if not best:
        return Choice(None, None, tuple(search.trials))
    measured = replace(search.found[best[0]][-1], pairs_per_s=search.rate(best[0]))
    return Choice(best[0], measured, tuple(search.trials))


def race(points, measure, turns):
    """Measure points in turn, so that what slows the machine for a while slows all; return what came of it.

    Args:
        points: which.
        measure: function of a point.
        turns: how often each.

    Returns:
        dict of point to a list of what `measure` returned.
    """
    found = {point: [] for point in points}
    for _ in range(turns):
        for point, measured in found.items():
            measured.append(measure(point))
    return found


class _Search:
    def __init__(self, grid, measure, limits):
        self.grid, self._measure, self._limits = grid, measure, limits
        self.found = {}
        self.trials = []

    def look(self, provider, precision, threads, clips_per_call):
        point = Point(provider, precision, threads, clips_per_call, self.grid.pairs[0])
        if point not in self.found:
            self.measure_again(point)
        return point

    def measure_again(self, point):
        measured = self._measure(point)
        self.found.setdefault(point, []).append(measured)
        self.trials.append((point, measured))
        return measured

    def rate(self, point):
        """Pairs a second, the median of its trials; None where a trial broke a limit."""
        if any(self._limits.broken_by(measured) for measured in self.found[point]):
            return None
        return quantile([measured.pairs_per_s for measured in self.found[point]], 0.5)

    def leaders(self):
        """Return points that keep to the limits, the fastest first."""
        rated = [(self.rate(point), point) for point in self.found]
        ranked = sorted((entry for entry in rated if entry[0] is not None), key=lambda entry: -entry[0])
        return [point for _, point in ranked]

    def near_the_best(self):
        """Return those of the leaders that may still win, `FINALISTS` at most."""
        ranked = self.leaders()[:FINALISTS]
        return [p for p in ranked if self.rate(p) >= (1 - _MAY_STILL_WIN) * self.rate(ranked[0])]

    def climb(self, point):
        """Let more clips share a call while that pays."""
        rate = self.rate(point)
        for clips in sorted(c for c in self.grid.clips_per_call if c > point.clips_per_call):
            above = self.look(point.provider, point.precision, point.threads, clips)
            if self.rate(above) is None or self.rate(above) <= rate:
                return
            rate = self.rate(above)

    def shrink(self):
        """Take threads away from what broke a limit, until something keeps to them."""
        for threads in sorted((t for t in self.grid.threads if t < max(self.grid.threads)), reverse=True):
            for point in list(self.found):
                shrunk = replace(point, threads=threads)
                if not any(measured.failed for measured in self.found[point]) and shrunk not in self.found:
                    self.measure_again(shrunk)
            if self.leaders():
                return
