"""Pictures as most decoders give them, luma and chroma apart, and the colours of the parts that are wanted.

Colours cost more than decoding, and of most frames only what lies around a face is looked at.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ._colour import exact_planes, new_image, plane_arrays
from ._errors import DecodeError
from ._siting import blank_picture, siting_of

if TYPE_CHECKING:
    import av

__all__ = ["LAYOUTS", "LEAST_PX", "PartConverter", "PlanarPicture", "PlaneTaker", "plane_shapes"]

LAYOUTS = {
    "yuv420p": (2, 2),
    "yuvj420p": (2, 2),
    "yuv422p": (2, 1),
    "yuvj422p": (2, 1),
    "yuv444p": (1, 1),
    "yuvj444p": (1, 1),
}
"""FFmpeg's names of what is taken apart: 8 bits, three planes, and how many px of luma a sample of chroma
spans, across and down."""

LEAST_PX = 600_000
"""Area from which pictures are taken apart. The process that decodes works beside its caller: 480p is read at
5.6 ms a frame where it makes all colours and at 6.5 where its caller makes some, 1080p at 17.7 and 11.3."""

_REACH_PX = 8
"""Colours at a place depend on chroma up to 2 px away; and what is smaller than the 8 px that FFmpeg's vector
code takes at a time is converted in another way."""

_KEPT_SIZES = 32
"""A box lasts a clip, and 16 faces have one each: their sizes, and room for as many that come next."""

Plane = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class PlanarPicture:
    """A picture as it was decoded, and what its colours depend on.

    Attributes:
        layout: one of `LAYOUTS`.
        matrix: FFmpeg's number of the matrix between its colours and RGB (`AVColorSpace`).
        reach: FFmpeg's number of the range of its levels (`AVColorRange`).
        siting: where its chroma lies, one of `SITINGS`.
        turns: quarter turns, counter-clockwise, that set it upright.
        planes: `uint8`, luma `[h, w]` and twice chroma; h and w are even.
    """

    layout: str
    matrix: int
    reach: int
    siting: str
    turns: int
    planes: tuple[Plane, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width once it is upright, in px."""
        height, width = self.planes[0].shape
        return (width, height) if self.turns % 2 else (height, width)

    @property
    def nbytes(self) -> int:
        """Bytes of its planes."""
        return sum(plane.size for plane in self.planes)

    def is_the_same_as(self, other: PlanarPicture) -> bool:
        """Tell whether all that it consists of is equal, which needs no colours."""
        return _kind(self) == _kind(other) and all(
            np.array_equal(plane, its) for plane, its in zip(self.planes, other.planes, strict=True)
        )


class PlaneTaker:
    """Takes the pictures of one video apart."""

    def __init__(self, least_px: int = LEAST_PX) -> None:
        """Leave pictures of a smaller area whole."""
        self._least_px = least_px
        self._sitings: dict[tuple[str, int, int, int, int], str | None] = {}

    def take(self, picture: av.VideoFrame) -> PlanarPicture | None:
        """Return the picture's planes, in its own memory; None where it must be converted as a whole."""
        layout, width, height = picture.format.name, picture.width, picture.height
        # over an odd width FFmpeg spreads chroma by steps that are no half: a part's are not the whole's
        if width * height < self._least_px or layout not in LAYOUTS or width % 2 or height % 2:
            return None
        if any(plane.line_size < plane.width for plane in picture.planes):
            return None
        key = (layout, width, height, picture.colorspace, picture.color_range)
        if key not in self._sitings:
            self._sitings[key] = siting_of(picture)
        siting = self._sitings[key]
        if siting is None:
            return None
        turns = round(picture.rotation / 90) % 4
        return PlanarPicture(
            layout, picture.colorspace, picture.color_range, siting, turns, plane_arrays(picture)
        )


class PartConverter:
    """Gives the colours of parts of planar pictures, for one thread at a time."""

    def __init__(self) -> None:
        self._tool = functools.lru_cache(_KEPT_SIZES)(_Tool)

    def part(self, picture: PlanarPicture, left: int, top: int, right: int, bottom: int) -> NDArray[np.uint8]:
        """Return a part of the upright picture, `uint8 [bottom - top, right - left, 3]` RGB.

        They are the very pixels of converting the picture as a whole. The part must lie in it.

        Raises:
            DecodeError: `undecodable`, where FFmpeg has no colours for what the picture says of itself.
        """
        image = new_image(bottom - top, right - left)
        height, width = picture.shape
        for _ in range(picture.turns):
            # of a picture that a quarter turn counter-clockwise made of another, the same part of that one
            left, top, right, bottom = height - bottom, left, height - top, right
            height, width = width, height
        # even: a sample of chroma is never cut in two
        x, y = max(left - _REACH_PX, 0) // 2 * 2, max(top - _REACH_PX, 0) // 2 * 2
        x_end, y_end = min(right + _REACH_PX + right % 2, width), min(bottom + _REACH_PX + bottom % 2, height)
        tool = self._tool(picture.layout, x_end - x, y_end - y, picture.siting)
        colours = tool.colours_of(picture, x, y)
        inside = np.s_[top - y : bottom - y, left - x : right - x]
        np.stack([colour[inside] for colour in colours], -1, out=np.rot90(image, -picture.turns))
        return image


class _Tool:
    """What converts parts of one size: building it takes longer than using it."""

    def __init__(self, layout: str, width: int, height: int, siting: str) -> None:
        from av.video.reformatter import VideoReformatter

        self._part = blank_picture(layout, width, height, siting)
        self._reformatter = VideoReformatter()

    def colours_of(self, picture: PlanarPicture, x: int, y: int) -> tuple[Plane, ...]:
        """Return red, green and blue of the part of `picture`, as it was decoded, whose corner is given."""
        from av.error import FFmpegError

        across, down = LAYOUTS[picture.layout]
        for target, plane, (step_x, step_y) in zip(
            plane_arrays(self._part), picture.planes, ((1, 1), (across, down), (across, down)), strict=True
        ):
            height, width = target.shape
            from_y, from_x = y // step_y, x // step_x
            target[...] = plane[from_y : from_y + height, from_x : from_x + width]
        self._part.colorspace, self._part.color_range = picture.matrix, picture.reach
        try:
            return exact_planes(self._reformatter, self._part)
        except FFmpegError as error:
            reason = f"pixels of {picture.layout} with the matrix {picture.matrix} have no colours: {error}"
            raise DecodeError("undecodable", reason) from error


def plane_shapes(layout: str, height: int, width: int) -> tuple[tuple[int, int], ...]:
    """Return height and width of each plane of a picture of even height and width."""
    across, down = LAYOUTS[layout]
    chroma = (height // down, width // across)
    return ((height, width), chroma, chroma)


def _kind(picture: PlanarPicture) -> tuple[object, ...]:
    shapes = tuple(plane.shape for plane in picture.planes)
    return (picture.layout, picture.matrix, picture.reach, picture.siting, picture.turns, shapes)
