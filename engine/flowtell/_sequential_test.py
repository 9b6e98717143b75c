"""Decides from part of a face's scores on which side of a threshold the mean of all of them lies.

The scores are drawn without replacement from a known number. At growing counts of them, Student's t test
asks whether their mean is on the side it seems to be; each of the K looks gets the share 1/K of the error
rate (Bonferroni), so that looking often does not make up a decision. Normal means of as few as four scores
are an approximation; evenly spread scores vary less than random ones, which is on the safe side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["SequentialTest", "student_t_tail"]

_FIRST_LOOK = 4
"""Student's t at 2 degrees of freedom asks for 7 standard errors at one in a hundred; at 3, for 4.5."""

_GROWTH = 1.5
"""Each look has so many times the scores of the one before: few looks, and none long in coming."""


class SequentialTest:
    """A test of one face's mean against a threshold."""

    def __init__(self, population: int, threshold: float, error_rate: float) -> None:
        """Test `population` scores (at least 1) with a chance of at most about `error_rate` to be wrong."""
        self._population = population
        self._threshold = threshold
        self.looks = _looks(population)
        # the last look sees every score and cannot be wrong
        self._error_rate = error_rate / max(len(self.looks) - 1, 1)

    def is_decided(self, scores: Sequence[float]) -> bool:
        """Tell whether the scores so far, drawn evenly, tell the side on which the mean of all lies.

        Args:
            scores: as many as one of `looks` says.
        """
        count = len(scores)
        if count >= self._population:
            return True
        mean = math.fsum(scores) / count
        variance = math.fsum((score - mean) ** 2 for score in scores) / (count - 1)
        # of the mean of all, given that those not seen are drawn from the same: the finite population's
        error = math.sqrt(variance / count * (1 - count / self._population))
        distance = abs(mean - self._threshold)
        if error == 0.0:
            return distance > 0.0
        return student_t_tail(distance / error, count - 1) <= self._error_rate


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
