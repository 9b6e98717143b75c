"""Finds shot cuts by the signatures of `cuts.onnx`, in whole numbers, so that every host decides alike."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

__all__ = ["CutFinder"]

_SURE_LEVELS = 60
"""Mean difference, in levels of 255, that is a cut whatever came before. A panning camera reaches 44."""

_SUDDEN = ((24, 3), (16, 6))
"""Mean difference, in levels, and how many times the largest recent one, that together are a cut. Of cuts
between shots of different people with the face in the same place, 19 of 20 reach 24 levels. Two shots of the
same person reach 16, out of near stillness. An inner face, a quarter of the box, that is swapped anew by 60
levels makes 15."""

_RECENT, _ENOUGH = 8, 4
"""Differences that are remembered, and how many of them make a past to compare with."""


class CutFinder:
    """Watches the boxes of one track, one signature after the other."""

    def __init__(self) -> None:
        self._recent: deque[int] = deque(maxlen=_RECENT)

    def is_cut(self, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> bool:
        """Tell whether one box of two consecutive frames shows different shots, and remember how they differ.

        Args:
            before: `uint8 [8, 8, 3]`, signature of the box in the earlier frame.
            after: the same of the later one.
        """
        difference = int(np.abs(before.astype(np.int32) - after.astype(np.int32)).sum())
        sudden = len(self._recent) >= _ENOUGH and any(
            difference >= max(levels * before.size, ratio * max(self._recent)) for levels, ratio in _SUDDEN
        )
        self._recent.append(difference)
        return sudden or difference >= _SURE_LEVELS * before.size
