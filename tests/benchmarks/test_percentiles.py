"""Percentile bounds, on distributions whose percentiles are known."""

import math

import numpy as np
import pytest

from flowtell.benchmarks.percentiles import percentile_bound, queries_needed


@pytest.mark.parametrize(("share", "needed"), [(0.5, 7), (0.9, 44), (0.99, 459)])
def test_how_many_queries_a_percentile_needs(share, needed):
    """0.9 ** 44 is the first power below 1 %."""
    assert queries_needed(share) == needed
    assert percentile_bound(range(needed - 1), share) is None
    assert percentile_bound(range(needed), share) == needed - 1


def test_bounds_hold_as_often_as_they_promise():
    """p90 of an exponential distribution of mean 1 is ln 10: of 2,000 runs of 100, 99 % must bound it."""
    rng = np.random.default_rng(0)
    held = sum(percentile_bound(rng.exponential(size=100), 0.9) >= math.log(10) for _ in range(2000))
    # 1,980 are promised at least; the standard deviation of such a count is sqrt(2000 * 0.01 * 0.99) = 4.4
    assert held >= 1980 - 3 * 4.4


def test_bounds_close_in_on_the_percentile():
    rng = np.random.default_rng(1)
    few, many = (percentile_bound(rng.exponential(size=n), 0.9) for n in (200, 200_000))
    assert math.log(10) < many < few
    assert many == pytest.approx(math.log(10), rel=0.02)
