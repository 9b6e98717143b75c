"""Finds shot cuts by the signatures of `cuts.onnx`, in whole numbers, so that every host decides alike."""

from __future__ import annotations

import math
from collections import deque
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ._signature import SIGNATURE_SHAPE

__all__ = ["CutFinder", "Signed"]

_VALUES = math.prod(SIGNATURE_SHAPE)

_SURE_LEVELS = 60
"""Mean difference, in levels of 255, that is a cut whatever came before. A panning camera reaches 44."""

_SUDDEN = ((24, 3), (16, 6))
"""Mean difference, in levels, and how many times the largest recent one, that together are a cut. Of cuts
between shots of different people with the face in the same place, 19 of 20 reach 24 levels. Two shots of the
same person reach 16, out of near stillness. An inner face, a quarter of the box, that is swapped anew by 60
levels makes 15."""

_RECENT, _ENOUGH = 8, 4
"""Differences that are remembered, and how many of them make a past to compare with."""


class Signed(Protocol):
    """One box of one frame."""

    @property
    def signature(self) -> NDArray[np.uint8]:
        """`uint8 [8, 8, 3]`, as `cuts.onnx` gives it."""

    def most_difference(self, before: Self) -> int | None:
        """Return what the difference from the box in another frame is at most; None where none is known."""


class _Change:
    """How a box differs between two frames; both are kept until somebody has to know exactly.

    Attributes:
        known: a lower bound of the difference, which it is from when it was asked for.
    """

    def __init__(self, before: Signed, after: Signed) -> None:
        self._boxes: tuple[Signed, Signed] | None = (before, after)
        self.known = 0

    @property
    def difference(self) -> int:
        """Sum of the absolute differences of the two signatures, in levels."""
        if self._boxes is not None:
            before, after = (box.signature.astype(np.int32) for box in self._boxes)
            self.known = int(np.abs(before - after).sum())
            self._boxes = None
        return self.known


class CutFinder:
    """Watches the boxes of one track, one frame after the other.

    Signing a box takes its colours, which cost more than all else here. So it is left until what is known
    without them does not rule a cut out, which it does for most frames.
    """

    def __init__(self) -> None:
        self._recent: deque[_Change] = deque(maxlen=_RECENT)

    def is_cut(self, before: Signed, after: Signed) -> bool:
        """Tell whether one box of two consecutive frames shows different shots, and remember how they differ.

        Args:
            before: the box in the earlier frame.
            after: the box in the later one.
        """
        change = _Change(before, after)
        known = max((past.known for past in self._recent), default=0)
        most = after.most_difference(before)
        is_cut = (
            (most is None or self._ends_shot(most, known))
            and self._ends_shot(change.difference, known)
            and self._ends_shot(change.difference, max((past.difference for past in self._recent), default=0))
        )
        self._recent.append(change)
        return is_cut

    def _ends_shot(self, difference: int, largest_recent: int) -> bool:
        """Tell whether such a difference is a cut after others of which that is the largest."""
        sudden = len(self._recent) >= _ENOUGH and any(
            difference >= max(levels * _VALUES, ratio * largest_recent) for levels, ratio in _SUDDEN
        )
        return sudden or difference >= _SURE_LEVELS * _VALUES
