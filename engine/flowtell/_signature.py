"""What `cuts.onnx` looks at when it signs a box: `docs/bundle-format.md` says it under `signature`."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ._plane_changes import Samples

__all__ = ["SIGNATURE_SHAPE", "signature_samples"]

SIGNATURE_SHAPE = (8, 8, 3)
_TILES = SIGNATURE_SHAPE[0]
_LEAST_SAMPLES = 64
"""Rows and columns that are looked at of a larger box: the middle one of every n stands for them."""

_KEPT = 64
"""A box lasts a clip, and 16 faces have one each."""


@lru_cache(_KEPT)
def signature_samples(box: tuple[int, int, int, int], height: int, width: int) -> tuple[Samples, Samples]:
    """Return the rows and columns of a part that are looked at, and how much each says about all tiles.

    Args:
        box: (x, y, width, height) in px of the part; may reach outside it.
        height: of the part, in px.
        width: of the part, in px.

    Returns:
        Rows and columns, whose weights add up to the number of tiles each. The sum of the absolute
        differences of two signatures, before they are rounded, is at most the sum of those of the pixels that
        are looked at, each times the weights of its row and column.
    """
    x, y, box_width, box_height = box
    return _samples(-y, box_height, height), _samples(-x, box_width, width)


def _samples(start: int, extent: int, size: int) -> Samples:
    """Return samples of a part of `size` px, which begins at `start` of a box that is `extent` px long."""
    step = max(extent // _LEAST_SAMPLES, 1)
    places = np.arange(min(step // 2, size - 1), size, step)
    edges = start + step * np.arange(len(places) + 1, dtype=np.float64)
    # the outermost go on for ever
    edges[0], edges[-1] = -np.inf, np.inf
    return Samples(places, np.diff(np.clip(edges, 0, extent)) * _TILES / extent)
