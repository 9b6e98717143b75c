"""How far the colours of a part can have changed, told from luma and chroma alone.

Making colours costs many times more, and of most frames nobody asks for them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._colour import LAYOUTS
from ._planar_parts import PlanarPart
from ._upright import is_mirrored, turns_of, upright_shape

__all__ = ["COLOUR_ERROR", "Samples", "most_change", "surely_differ"]

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

_GREEN_OF_CHROMA = 255 / 224 * (0.344 + 0.714)
"""A level of both planes of chroma changes green by at most so much: BT.601, limited range. A level of luma
changes it by one at least."""

_LEAST_LUMA, _LUMA_SPAN, _CHROMA_REACH = 66, 119, 48
"""With luma from 66 to 185 and chroma within 48 levels of grey no green is cut off: limited range gives
255/219 * (66 - 16) - 48 * 255/224 * 1.058 = 0.4 to 254.6, full range 15 to 236."""

_ROW_STEP = 8
"""One row in so many is looked at for a pixel that tells frames apart: of two that differ most rows do."""


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
    # rows first: they are copied whole, which is faster than taking single pixels
    luma = _difference(*(part.luma[rows.places][:, columns.places] for part in (before, after)))
    across, down = LAYOUTS[kind.layout]
    near_rows, near_columns = (before.top + rows.places) // down, (before.left + columns.places) // across
    planes = zip(before.around.planes[1:], after.around.planes[1:], strict=True)
    if across == down == 1:
        looked_at = ((plane[near_rows][:, near_columns] for plane in pair) for pair in planes)
        chroma = np.add(*(_difference(*pair) for pair in looked_at), dtype=np.uint16)
    else:
        # of both planes together, for they are interpolated alike: by means of samples next to each other
        chroma = np.add(*(_difference(*pair) for pair in planes), dtype=np.uint16)
        for axis, step, places in ((0, down, near_rows), (1, across, near_columns)):
            if step > 1:
                chroma = _greatest_of_neighbours(chroma, axis)
            chroma = chroma.take(places, axis)
    change = _OF_LUMA * luma + _OF_CHROMA * chroma
    return float(rows.weights @ change @ columns.weights)


def surely_differ(first: PlanarPart, second: PlanarPart) -> bool:
    """Tell whether two parts are known to differ in their colours. False says nothing.

    It is told by one pixel, whose luma differs most: chroma may not make up for that in its green.

    Args:
        first: a part of one picture.
        second: a part of another, of the same kind, size and place.
    """
    one, other = first.luma[::_ROW_STEP], second.luma[::_ROW_STEP]
    # what lies below the least wraps around, and is beyond the span
    is_told = ((one - _LEAST_LUMA) <= _LUMA_SPAN) & ((other - _LEAST_LUMA) <= _LUMA_SPAN)
    differences = _difference(one, other) * is_told
    row, column = divmod(int(differences.argmax()), differences.shape[1])
    luma = int(differences[row, column])
    if luma <= 2 * COLOUR_ERROR:
        return False
    across, down = LAYOUTS[first.around.kind.layout]
    y, x = (first.top + row * _ROW_STEP) // down, (first.left + column) // across
    # chroma at a pixel is made of samples next to each other
    near = (slice(max(y - 1, 0), y + 2), slice(max(x - 1, 0), x + 2))
    change, reach = 0, 0
    for plane, its in zip(first.around.planes[1:], second.around.planes[1:], strict=True):
        before, after = plane[near].astype(np.int16), its[near].astype(np.int16)
        change = max(change, int(np.abs(before - after).max()))
        reach = max(reach, *(int(np.abs(each - 128).max()) for each in (before, after)))
    return reach <= _CHROMA_REACH and luma - _GREEN_OF_CHROMA * change > 2 * COLOUR_ERROR


def _difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.maximum(one, other) - np.minimum(one, other)


def _greatest_of_neighbours(plane: NDArray[np.uint16], axis: int) -> NDArray[np.uint16]:
    """Return the greatest of each sample, the one before it and the one after it."""
    lines = np.moveaxis(plane, axis, 0)
    greatest = lines.copy(order="K")
    np.maximum(greatest[1:], lines[:-1], out=greatest[1:])
    np.maximum(greatest[:-1], lines[1:], out=greatest[:-1])
    return np.moveaxis(greatest, 0, axis)
