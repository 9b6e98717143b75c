"""Bounds and intervals at the ends of what a sample can be."""

from fractions import Fraction
from math import comb

import pytest

from flowtell.training.metrics import rate_upper_bound


def chance_of_at_most(events, count, rate):
    """Of so many events, in whole numbers: exactly."""
    a, b = Fraction(rate).as_integer_ratio()
    ways = sum(comb(count, k) * a**k * (b - a) ** (count - k) for k in range(events + 1))
    return float(Fraction(ways, b**count))


@pytest.mark.parametrize(("events", "count"), [(0, 1), (1, 7), (3, 40), (39, 40), (220, 2200), (600, 2200)])
def test_bound_is_the_rate_at_which_so_few_are_seen_once_in_twenty(events, count):
    bound = rate_upper_bound(events, count)
    assert events / count < bound < 1
    assert chance_of_at_most(events, count, bound) == pytest.approx(0.05, abs=1e-8)
