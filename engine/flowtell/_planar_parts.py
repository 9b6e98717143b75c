"""Parts of pictures whose luma and chroma lie apart, and their colours, for those who look at them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ._colour import LAYOUTS, exact_planes, new_image, plane_arrays
from ._errors import DecodeError
from ._planes import PixelKind, PlanarPicture, Plane
from ._siting import blank_picture
from ._upright import as_decoded, place_as_decoded, upright_shape

__all__ = ["PartConverter", "PlanarPart", "part_of"]

_REACH_PX = 8
"""Colours at a place depend on chroma up to 2 px away; and what is smaller than the 8 px that FFmpeg's vector
code takes at a time is converted in another way."""

_KEPT_SIZES, _KEPT_FRAMES = 32, 2
"""What converts parts of one size is kept for the next one: 32 sizes, for a box lasts a clip and 16 faces
have one each, and 2 frames' area in all, for there is a whole frame in between."""


@dataclass(frozen=True, eq=False)
class PlanarPart:
    """A part of a picture as it was decoded, with what lies around it and has a say in its colours.

    Attributes:
        around: the part and up to 8 px on every side of it, on even pixels.
        left, top, right, bottom: the part in px of `around`, before that is turned upright.
        frame_px: area of the picture that it is of.
    """

    around: PlanarPicture
    left: int
    top: int
    right: int
    bottom: int
    frame_px: int

    @property
    def luma(self) -> Plane:
        """Luma of the part alone: `uint8 [bottom - top, right - left]`, as it was decoded."""
        return self.around.planes[0][self.top : self.bottom, self.left : self.right]

    def copy(self) -> PlanarPart:
        """Return the same part in memory of its own; raises DecodeError `too_large` where there is none."""
        with _told_as_damage(self.around.kind):
            return replace(self, around=self.around.copy())

    def is_like(self, other: PlanarPart) -> bool:
        """Tell whether both are of one kind and lie alike in what is around them, whose sizes are equal."""
        places = (
            (part.around.kind, part.around.shape, part.left, part.top, part.right, part.bottom)
            for part in (self, other)
        )
        return next(places) == next(places)

    def pixel(self, row: int, column: int) -> PlanarPart:
        """Return one pixel of the part, as it was decoded; its surround is this part's."""
        left, top = self.left + column, self.top + row
        return _with_surround(self.around, (left, top, left + 1, top + 1), self.frame_px)


def part_of(picture: PlanarPicture, left: int, top: int, right: int, bottom: int) -> PlanarPart:
    """Return a part of the upright picture, in the picture's memory. It must lie in it."""
    height, width = picture.shape
    place = place_as_decoded((left, top, right, bottom), height, width, picture.kind.orientation)
    return _with_surround(picture, place, height * width)


def _with_surround(picture: PlanarPicture, place: tuple[int, int, int, int], frame_px: int) -> PlanarPart:
    """Return a place of a picture, in px of it as it was decoded, with what lies around it."""
    left, top, right, bottom = place
    height, width = picture.planes[0].shape
    # even: a sample of chroma is never cut in two
    x, y = max(left - _REACH_PX, 0) // 2 * 2, max(top - _REACH_PX, 0) // 2 * 2
    x_end, y_end = min(right + _REACH_PX + right % 2, width), min(bottom + _REACH_PX + bottom % 2, height)
    across, down = LAYOUTS[picture.kind.layout]
    planes = tuple(
        plane[y // step_y : y_end // step_y, x // step_x : x_end // step_x]
        for plane, (step_x, step_y) in zip(
            picture.planes, ((1, 1), (across, down), (across, down)), strict=True
        )
    )
    around = PlanarPicture(picture.kind, planes)
    return PlanarPart(around, left - x, top - y, right - x, bottom - y, frame_px)


class PartConverter:
    """Gives the colours of parts of planar pictures, for one thread at a time."""

    def __init__(self) -> None:
        """Load PyAV.

        Raises:
            ImportError: where it cannot be.
        """
        import av.filter  # noqa: F401

        self._tools: dict[tuple[int, int], _Tool] = {}
        self._tools_are_for: PixelKind | None = None

    def colours(self, part: PlanarPart) -> NDArray[np.uint8]:
        """Return an upright part, `uint8 [h, w, 3]` RGB: the very pixels of converting the picture whole.

        Raises:
            DecodeError: `undecodable`, where FFmpeg has no colours for what the picture says of itself;
                `too_large`, where there is no memory for them.
        """
        orientation = part.around.kind.orientation
        with _told_as_damage(part.around.kind):
            colours = self._tool(part).colours_of(part.around)
            inner = [colour[part.top : part.bottom, part.left : part.right] for colour in colours]
            image = new_image(*upright_shape(part.luma, orientation))
            np.stack(inner, -1, out=as_decoded(image, orientation))
            return image

    def differ_where_luma_does(self, first: PlanarPart, second: PlanarPart) -> bool:
        """Tell whether two parts of one kind and size differ in the colours of a pixel whose luma does.

        False says nothing. Of the first row that differs it is the pixel that differs most.

        Raises:
            DecodeError: as `colours`.
        """
        rows = np.flatnonzero((first.luma != second.luma).any(axis=1))
        if not rows.size:
            return False
        row = int(rows[0])
        differences = first.luma[row].astype(np.int16) - second.luma[row]
        column = int(np.abs(differences).argmax())
        one, other = (self.colours(part.pixel(row, column)) for part in (first, second))
        return not np.array_equal(one, other)

    def _tool(self, part: PlanarPart) -> _Tool:
        if part.around.kind != self._tools_are_for:
            self._tools.clear()
            self._tools_are_for = part.around.kind
        height, width = part.around.planes[0].shape
        # the one that was used last stands last
        tool = self._tools.pop((height, width), None) or _Tool(part.around.kind, height, width)
        self._tools[height, width] = tool
        most_px = _KEPT_FRAMES * part.frame_px
        while len(self._tools) > _KEPT_SIZES or sum(h * w for h, w in self._tools) > most_px:
            del self._tools[next(iter(self._tools))]
        return tool


class _Tool:
    """What converts pictures of one size: building it takes longer than using it."""

    def __init__(self, kind: PixelKind, height: int, width: int) -> None:
        from av.video.reformatter import VideoReformatter

        self._picture = blank_picture(kind.layout, width, height, kind.siting)
        self._picture.colorspace, self._picture.color_range = kind.matrix, kind.levels
        self._reformatter = VideoReformatter()

    def colours_of(self, picture: PlanarPicture) -> tuple[Plane, ...]:
        """Return red, green and blue of a picture of this kind and size, as it was decoded."""
        for target, plane in zip(plane_arrays(self._picture), picture.planes, strict=True):
            target[...] = plane
        return exact_planes(self._reformatter, self._picture)


@contextmanager
def _told_as_damage(kind: PixelKind) -> Iterator[None]:
    """Raise what goes wrong with colours as the error of a file."""
    from av.error import FFmpegError

    try:
        yield
    except MemoryError as error:
        raise DecodeError("too_large", "its colours take more memory than there is") from error
    except (FFmpegError, ValueError, RuntimeError) as error:
        said = getattr(error, "strerror", None) or error
        pixels = f"{kind.layout} with the matrix {kind.matrix}"
        raise DecodeError("undecodable", f"its pixels, {pixels}, have no colours: {said}") from error
