"""How far the colours of a part can have changed at most, told from luma and chroma alone.

Making colours costs many times more, and of most frames nobody asks for them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._colour import LAYOUTS
from ._planar_parts import PlanarPart
from ._upright import is_mirrored, turns_of, upright_shape

__all__ = ["COLOUR_ERROR", "Samples", "most_change"]

_OF_LUMA = 3 * 255 / 219
"""A level of luma changes each of three colours by at most so much: limited range has 219 levels of it."""

_OF_CHROMA = 255 / 224 * (1.402 + 0.714)
"""A level of chroma changes two colours, by so much together under BT.601, and by less under every other of
`MATRICES`: 2.40 under FCC, 2.34 under SMPTE 240M, and 2.33 under BT.709 and BT.2020."""

COLOUR_ERROR = 2
"""Levels, each colour of a pixel: either of two pixels is within one of what the formula gives."""


_MOST_CHROMA = 236
"""FFmpeg's colours wrap around where the formula gives 512 or more. 255 of luma with 236 of chroma gives 510
(BT.2020, limited range): 255/219 * (255 - 16) + 255/224 * 1.8814 * (236 - 128)."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Rows or columns that stand for all of a part: `places` int64 `[n]`, `weights` float64 `[n]`."""

    places: NDArray[np.int64]
    weights: NDArray[np.float64]

    def from_the_other_end(self, extent: int) -> Samples:
        """Return the same rows of a part that is so long, counted from its other end."""
        return Samples(extent - 1 - self.places, self.weights)


def most_change(before: PlanarPart, after: PlanarPart, rows: Samples, columns: Samples) -> float | None:
    """Return an upper bound of how much the colours of an upright part changed; None where none can be told.

    Args:
        before: a part of one picture.
        after: a part of another.
        rows: those of the part that count, and how much.
        columns: as `rows`.

    Returns:
        Of the pixels that count, the sum of the absolute differences of red, green and blue in levels of 255,
        each times the weights of its row and column, is at most so much. `COLOUR_ERROR` comes on top.
    """
    if not before.is_like(after) or any(
        plane.max() > _MOST_CHROMA for part in (before, after) for plane in part.around.planes[1:]
    ):
        return None
    kind = before.around.kind
    height, width = upright_shape(before.luma, kind.orientation)
    for _ in range(turns_of(kind.orientation)):
        # a quarter turn counter-clockwise made the columns of a picture, from the last one on, these rows
        rows, columns = columns, rows.from_the_other_end(height)
        height, width = width, height
    if is_mirrored(kind.orientation):
        columns = columns.from_the_other_end(width)
    here = np.ix_(rows.places, columns.places)
    luma = _difference(before.luma[here], after.luma[here])
    across, down = LAYOUTS[kind.layout]
    nearest = np.ix_((before.top + rows.places) // down, (before.left + columns.places) // across)
    planes = zip(before.around.planes[1:], after.around.planes[1:], strict=True)
    if across == down == 1:
        differences = (_difference(one[nearest], other[nearest]) for one, other in planes)
        chroma = np.add(*differences, dtype=np.uint16)
    else:
        # of both planes together, for they are interpolated alike: by means of samples next to each other
        chroma = np.add(*(_difference(one, other) for one, other in planes), dtype=np.uint16)
        for axis, step in ((0, down), (1, across)):
            if step > 1:
                chroma = _greatest_of_neighbours(chroma, axis)
        chroma = chroma[nearest]
    change = _OF_LUMA * luma + _OF_CHROMA * chroma
    return float(rows.weights @ change @ columns.weights)


def _difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.maximum(one, other) - np.minimum(one, other)


def _greatest_of_neighbours(plane: NDArray[np.uint16], axis: int) -> NDArray[np.uint16]:
    """Return the greatest of each sample, the one before it and the one after it."""
    lines = np.moveaxis(plane, axis, 0)
    greatest = lines.copy()
    np.maximum(greatest[1:], lines[:-1], out=greatest[1:])
    np.maximum(greatest[:-1], lines[1:], out=greatest[:-1])
    return np.moveaxis(greatest, 0, axis)
