"""Decides from part of a face's scores on which side of a threshold the mean of all of them lies.

The scores are drawn without replacement from a known number. At growing counts of them, Student's t test
asks whether their mean is on the side it seems to be, at the level of every look at which all looks together
are wrong no more often than asked for (Pocock, Biometrika 1977), so that looking often does not make up a
decision. Scores are taken for normal; evenly spread ones vary less than random ones, which is on the safe
side.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist

import numpy as np

__all__ = ["SequentialTest", "level_of_each", "student_t_tail"]

_FIRST_LOOK = 8
"""At one in a hundred Student's t asks for 3.0 standard errors at 7 degrees of freedom, and for 4.5 at 3; the
normal distribution, for 2.3."""

_GROWTH = 1.5
"""Each look has so many times the scores of the one before: few looks, and none long in coming."""

_FAR_BELOW = -9.0
"""A normal variable is below that once in 10**18 times."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
_HALVINGS = 24
"""Of an interval shorter than 2: the bound is known to 1e-7 standard errors."""


class SequentialTest:
    """A test of one face's mean against a threshold."""

    def __init__(self, population: int, threshold: float, error_rate: float) -> None:
        """Test `population` scores (at least 1) with a chance of at most about `error_rate` to be wrong."""
        self._population = population
        self._threshold = threshold
        self.looks = _looks(population)
        self._level = level_of_each(self.looks, error_rate)

    def is_decided(self, scores: Sequence[float], mean: float) -> bool:
        """Tell whether the scores so far, drawn evenly, tell the side on which the mean of all lies.

        Args:
            scores: as many as one of `looks` says.
            mean: what they say the mean of all is: their own, or one that knows more of them.
        """
        count = len(scores)
        if count >= self._population:
            return True
        middle = math.fsum(scores) / count
        variance = math.fsum((score - middle) ** 2 for score in scores) / (count - 1)
        # of the mean of all, given that those not seen are drawn from the same: the finite population's
        error = math.sqrt(variance / count * (1 - count / self._population))
        distance = abs(mean - self._threshold)
        if error == 0.0:
            return distance > 0.0
        return student_t_tail(distance / error, count - 1) <= self._level


@lru_cache(maxsize=1024)
def level_of_each(looks: tuple[int, ...], error_rate: float) -> float:
    """Return the one-sided level at which each look may be wrong so that one of them is with `error_rate`.

    The mean of n of N scores less that of all has the variance of one score times 1/n - 1/N, and its
    covariance with that of the first m is that of the larger sample: divided by its standard error it is a
    Brownian motion over the square root of its time, 1 / (1/n - 1/N). The chance that it stays below a bound
    at all looks is integrated from look to look (Armitage, McPherson and Rowe, J. R. Statist. Soc. A 1969).

    Args:
        looks: counts of scores, growing, at least one; at the last, of all N, no test can be wrong.
        error_rate: above 0, at most 0.5.
    """
    times = [1 / (1 / count - 1 / looks[-1]) for count in looks[:-1]]
    if len(times) < 2:
        return error_rate
    normal = NormalDist()
    # the bound lies between those of looks that are all alike and of looks that know nothing of each other
    low, high = (-normal.inv_cdf(error_rate / count) for count in (1, len(times)))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _chance_above(middle, times) > error_rate:
            low = middle
        else:
            high = middle
    return normal.cdf(-high)


def _chance_above(bound: float, times: Sequence[float]) -> float:
    """Return the chance that a Brownian motion over the root of its time is above `bound` at any time."""
    half = (bound - _FAR_BELOW) / 2
    value = _FAR_BELOW + half * (_NODES + 1)
    weight = half * _WEIGHTS
    density = np.exp(-(value**2) / 2) / math.sqrt(2 * math.pi)
    for before, after in itertools.pairwise(times):
        kept = math.sqrt(before / after)
        spread = math.sqrt(1 - before / after)
        step = np.exp(-(((value[:, None] - kept * value) / spread) ** 2) / 2)
        density = step @ (density * weight) / (spread * math.sqrt(2 * math.pi))
    return 1.0 - float(density @ weight)


def student_t_tail(t: float, degrees: int) -> float:
    """Return P(T > t) of Student's t with whole degrees of freedom, t >= 0.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4: finite sums of powers of
    cos(theta), theta = atan(t / sqrt(degrees)).
    """
    theta = math.atan(t / math.sqrt(degrees))
    square = math.cos(theta) ** 2
    odd = degrees % 2
    term = math.sin(theta) * (math.cos(theta) if odd else 1.0)
    total = 0.0
    for k in range(odd, degrees - 1, 2):
        total += term
        term *= square * (k + 1) / (k + 2)
    within = 2 / math.pi * (theta + total) if odd else total
    return max((1.0 - within) / 2, 0.0)


def _looks(population: int) -> tuple[int, ...]:
    counts = []
    count = _FIRST_LOOK
    while count < population:
        counts.append(count)
        count = math.ceil(count * _GROWTH)
    return (*counts, population)
