"""Bounds and intervals at the ends of what a sample can be."""

from fractions import Fraction
from math import comb

import pytest

from flowtell.training.metrics import auc, auc_interval, bootstrap_interval, rate_upper_bound


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


@pytest.mark.parametrize(
    "groups", [[0, 0, 0, 0], [0, 0, 1, 1], [0, 1, 2, 2]], ids=["one", "one a class", "one of the fakes"]
)
def test_one_group_says_nothing_of_others(groups):
    assert auc_interval([0.1, 0.6, 0.4, 0.9], [0, 0, 1, 1], groups) == (None, None)


def test_two_groups_of_each_class_give_an_interval():
    low, high = auc_interval([0.1, 0.6, 0.4, 0.9], [0, 0, 1, 1], [0, 1, 0, 1])
    # of persons 0 and 1 alike the AUC is 3 / 4, of either alone 1
    assert (low, high) == (0.75, 1.0)


@pytest.mark.parametrize("label", [0, 1])
def test_an_interval_of_one_class_is_an_error(label):
    with pytest.raises(ValueError, match="one real and one fake"):
        bootstrap_interval(auc, [0.2, 0.4, 0.6], [label] * 3)
