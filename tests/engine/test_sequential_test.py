"""The test that decides from part of a face's scores, against printed tables and by drawing at random."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from tolerances import TOLERANCES

from flowtell._sequential_test import SequentialTest, level_of_each, student_t_tail


# two-sided points of Student's t in every table: 0.05 and 0.01, and half of it in one tail
@pytest.mark.parametrize(
    ("degrees", "t", "tail"),
    [
        (1, 12.706, 0.025),
        (2, 4.303, 0.025),
        (3, 5.841, 0.005),
        (4, 2.776, 0.025),
        (9, 3.250, 0.005),
        (10, 2.228, 0.025),
        (30, 2.750, 0.005),
        (120, 1.980, 0.025),
    ],
)
def test_student_s_t_is_that_of_the_tables(degrees, t, tail):
    assert student_t_tail(t, degrees) == pytest.approx(tail, rel=TOLERANCES["student_t_table"].value)
    assert student_t_tail(0.0, degrees) == pytest.approx(0.5)


@pytest.mark.parametrize("population", [1, 3, 4, 5, 7, 8, 9, 100, 4000])
def test_looks_grow_to_the_population(population):
    looks = SequentialTest(population, 0.5, 0.05).looks
    assert looks[-1] == population
    assert list(looks) == sorted(set(looks))
    assert looks[0] == min(8, population)


# Pocock 1977, table 1: groups of one size out of many, two-sided at 0.05, of which half is on either side
@pytest.mark.parametrize(
    ("groups", "two_sided"), [(2, 0.0294), (3, 0.0221), (4, 0.0182), (5, 0.0158), (10, 0.0106)]
)
def test_levels_are_those_of_the_table(groups, two_sided):
    looks = (*(100 * count for count in range(1, groups + 1)), 10**9)
    assert level_of_each(looks, 0.025) == pytest.approx(two_sided / 2, rel=TOLERANCES["pocock_table"].value)


@pytest.mark.parametrize("error_rate", [1e-6, 0.05, 0.5])
def test_levels_lie_between_looks_that_agree_and_looks_that_know_nothing_of_each_other(error_rate):
    looks = SequentialTest(1000, 0.5, error_rate).looks
    assert error_rate / (len(looks) - 1) < level_of_each(looks, error_rate) < error_rate
    # of one look that can be wrong, and of none
    assert level_of_each((8, 9), error_rate) == level_of_each((5,), error_rate) == error_rate


@pytest.mark.parametrize("error_rate", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("distance", [0.0005, 0.01, 0.03])
def test_the_test_is_wrong_no_more_often_than_it_may(error_rate, distance):
    """Scores of a face that lie 0.02 apart, drawn at random, their mean `distance` from the threshold."""
    random_source = random.Random(0)
    wrong = decided_early = 0
    for _ in range(400):
        scores = [random_source.gauss(0.0, 0.02) for _ in range(96)]
        mean = statistics.fmean(scores)
        scores = [0.5 + distance + score - mean for score in scores]
        test = SequentialTest(len(scores), 0.5, error_rate)
        look = next(
            look for look in test.looks if test.is_decided(scores[:look], statistics.fmean(scores[:look]))
        )
        wrong += statistics.fmean(scores[:look]) < 0.5
        decided_early += look < len(scores)
    # three standard errors of a share of 400
    assert wrong / 400 <= error_rate + 3 * math.sqrt(error_rate * (1 - error_rate) / 400)
    if distance == 0.03:
        assert decided_early == 400


def test_scores_that_do_not_vary_decide_at_once_unless_they_are_the_threshold():
    test = SequentialTest(100, 0.5, 0.05)
    assert test.is_decided([0.6] * 8, 0.6)
    assert not test.is_decided([0.5] * 8, 0.5)
    assert test.is_decided([0.5] * 100, 0.5)


def test_the_mean_is_told_from_the_threshold_by_how_far_the_scores_lie_apart():
    test = SequentialTest(100, 0.5, 0.05)
    scores = [0.3, 0.5] * 4
    assert test.is_decided(scores, 0.35)
    assert not test.is_decided(scores, 0.49)
