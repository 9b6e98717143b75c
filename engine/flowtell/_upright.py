"""How a picture is set upright: mirrored, where its file says so, and turned by quarters.

Files say it by a matrix (ISO/IEC 14496-12, 8.3.2; H.264 and H.265 in SEI messages) that FFmpeg hands on with
each picture. Telephones turn by it; front cameras mirror, too.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av

__all__ = [
    "ORIENTATIONS",
    "OrientationReader",
    "as_decoded",
    "is_mirrored",
    "place_as_decoded",
    "turns_of",
    "upright_shape",
]

ORIENTATIONS = 8
"""How many orientations there are: 0 to 3 are so many quarter turns, counter-clockwise; 4 to 7 the same of
the picture mirrored left to right."""

_MIRRORED = 4
_MATRIX = struct.Struct("=9i")


class OrientationReader:
    """Reads what sets the pictures of one video upright.

    A picture whose side data somebody looked at stays in memory until Python collects cycles, so that is done
    only where FFmpeg's number for its rotation is another than that of the picture before.
    """

    def __init__(self) -> None:
        self._rotation: float | None = None
        self._orientation = 0

    def read(self, picture: av.VideoFrame) -> int:
        """Return what sets a picture upright, one of `ORIENTATIONS`; 0 where its matrix has no inverse."""
        rotation = picture.rotation
        if rotation != self._rotation:
            self._rotation, self._orientation = rotation, _orientation_of(picture)
        return self._orientation


def _orientation_of(picture: av.VideoFrame) -> int:
    """Return the same, from the matrix: it takes a point (p, q) to (a p + c q, b p + d q).

    Angles between are rounded to quarters.
    """
    from av.sidedata.sidedata import Type

    side_data: Any = picture.side_data
    said = bytes(side_data.get(Type.DISPLAYMATRIX) or b"")
    if len(said) < _MATRIX.size:
        return 0
    a, b, _, c, d, *_ = _MATRIX.unpack_from(said)
    area: int = a * d - b * c
    if area == 0:
        return 0
    if area < 0:
        a, b = -a, -b
    turns = round(-math.degrees(math.atan2(b, a)) / 90) % 4
    return turns if area > 0 else turns + _MIRRORED


def turns_of(orientation: int) -> int:
    """Return how many quarter turns, counter-clockwise, set a picture upright, once it is mirrored."""
    return orientation % _MIRRORED


def is_mirrored(orientation: int) -> bool:
    """Return whether a picture is mirrored left to right before it is turned."""
    return orientation >= _MIRRORED


def upright_shape(decoded: NDArray[Any], orientation: int) -> tuple[int, int]:
    """Return height and width of a decoded picture `[H, W, ...]` once it is upright, in px."""
    height, width = decoded.shape[:2]
    return (width, height) if orientation % 2 else (height, width)


def as_decoded(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Return a view of an upright image `[H, W, 3]` whose pixels lie as they were decoded."""
    view = np.rot90(image, -turns_of(orientation))
    return view[:, ::-1] if is_mirrored(orientation) else view


def place_as_decoded(
    place: tuple[int, int, int, int], height: int, width: int, orientation: int
) -> tuple[int, int, int, int]:
    """Return where a place (left, top, right, bottom) of an upright picture lies in the decoded one, in px.

    Args:
        place: in px of the upright picture.
        height: of the upright picture, in px.
        width: the same.
        orientation: one of `ORIENTATIONS`.
    """
    left, top, right, bottom = place
    for _ in range(turns_of(orientation)):
        # of a picture that a quarter turn counter-clockwise made of another, the same part of that one
        left, top, right, bottom = height - bottom, left, height - top, right
        height, width = width, height
    if is_mirrored(orientation):
        left, right = width - right, width - left
    return left, top, right, bottom
