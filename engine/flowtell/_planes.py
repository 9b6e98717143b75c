"""Pictures as most decoders give them, luma and chroma apart, and the colours of the parts that are wanted.

Colours cost more than decoding, and of most frames only what lies around a face is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ._colour import LAYOUTS, exact_planes, new_image, plane_arrays, turns_of
from ._errors import DecodeError
from ._siting import blank_picture, siting_of

if TYPE_CHECKING:
    import av

__all__ = [
    "LEAST_PX",
    "MATRICES",
    "MOST_LEVELS",
    "PartConverter",
    "PixelKind",
    "PlanarPicture",
    "PlaneTaker",
    "plane_shapes",
    "planes_in",
]

LEAST_PX = 200_000
"""Area from which pictures are taken apart. Reading a video of 852x480 for a sample of its clips takes 4.3 ms
of processor time a frame where the caller makes the colours that are wanted and 6.1 where the decoder makes
all of them, 426x240 as much either way."""

MATRICES = {0, 1, 2, 4, 5, 6, 7, 9}
"""FFmpeg's numbers (`AVColorSpace`) of the matrices that it converts by."""

MOST_LEVELS = 2
"""FFmpeg's highest number of a range of levels (`AVColorRange`): not stated, limited, full."""

_REACH_PX = 8
"""Colours at a place depend on chroma up to 2 px away; and what is smaller than the 8 px that FFmpeg's vector
code takes at a time is converted in another way."""

_KEPT_SIZES, _KEPT_FRAMES = 32, 2
"""What converts parts of one size is kept for the next one: 32 sizes, for a box lasts a clip and 16 faces
have one each, and 2 frames' area in all, for there is a whole frame in between."""

Plane = NDArray[np.uint8]


@dataclass(frozen=True)
class PixelKind:
    """What the colours of planes depend on, apart from their levels.

    Attributes:
        layout: one of `LAYOUTS`.
        matrix: FFmpeg's number of the matrix between its colours and RGB (`AVColorSpace`).
        levels: FFmpeg's number of the range of its levels (`AVColorRange`).
        siting: where its chroma lies, one of `SITINGS`.
        turns: quarter turns, counter-clockwise, that set the picture upright.
    """

    layout: str
    matrix: int
    levels: int
    siting: str
    turns: int


@dataclass(frozen=True, eq=False)
class PlanarPicture:
    """A picture as it was decoded.

    Attributes:
        kind: what its colours depend on.
        planes: `uint8`, luma `[h, w]` and twice chroma; h and w are even.
    """

    kind: PixelKind
    planes: tuple[Plane, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width once it is upright, in px."""
        height, width = self.planes[0].shape
        return (width, height) if self.kind.turns % 2 else (height, width)

    @property
    def nbytes(self) -> int:
        """Bytes of its planes."""
        return sum(plane.size for plane in self.planes)

    def is_the_same_as(self, other: PlanarPicture) -> bool:
        """Tell whether all that it consists of is equal, which needs no colours."""
        return self.kind == other.kind and all(
            np.array_equal(plane, its) for plane, its in zip(self.planes, other.planes, strict=True)
        )


class PlaneTaker:
    """Takes the pictures of one video apart."""

    def __init__(self, least_px: int = LEAST_PX) -> None:
        """Leave pictures of a smaller area whole."""
        self._least_px = least_px
        self._sitings: dict[tuple[str, int, int], str | None] = {}

    def take(self, picture: av.VideoFrame) -> PlanarPicture | None:
        """Return the picture's planes, in its own memory; None where it must be converted as a whole."""
        layout, width, height = picture.format.name, picture.width, picture.height
        # over an odd width FFmpeg spreads chroma by steps that are no half: a part's are not the whole's
        if width * height < self._least_px or layout not in LAYOUTS or width % 2 or height % 2:
            return None
        # of an interlaced one FFmpeg converts each field as a picture of its own
        if picture.interlaced_frame or any(plane.line_size < plane.width for plane in picture.planes):
            return None
        matrix, levels = int(picture.colorspace), int(picture.color_range)
        if matrix not in MATRICES or levels > MOST_LEVELS:
            return None
        siting = self._siting(picture, (layout, matrix, levels))
        if siting is None:
            return None
        return PlanarPicture(
            PixelKind(layout, matrix, levels, siting, turns_of(picture)), plane_arrays(picture)
        )

    def _siting(self, picture: av.VideoFrame, key: tuple[str, int, int]) -> str | None:
        from av.error import FFmpegError

        if key not in self._sitings:
            try:
                self._sitings[key] = siting_of(picture)
            except MemoryError:
                raise
            except (FFmpegError, ValueError, RuntimeError):
                # an FFmpeg without the filters that it takes to find out
                self._sitings[key] = None
        return self._sitings[key]


class PartConverter:
    """Gives the colours of parts of planar pictures, for one thread at a time."""

    def __init__(self) -> None:
        """Load PyAV.

        Raises:
            ImportError: where it cannot be.
        """
        import av.filter  # noqa: F401

        self._tools: dict[tuple[int, int], _Tool] = {}
        self._tools_are_for: tuple[PixelKind, tuple[int, int]] | None = None

    def part(self, picture: PlanarPicture, left: int, top: int, right: int, bottom: int) -> NDArray[np.uint8]:
        """Return a part of the upright picture, `uint8 [bottom - top, right - left, 3]` RGB.

        They are the very pixels of converting the picture as a whole. The part must lie in it.

        Raises:
            DecodeError: `undecodable`, where FFmpeg has no colours for what the picture says of itself;
                `too_large`, where there is no memory for them.
        """
        height, width = picture.shape
        shape = (bottom - top, right - left)
        for _ in range(picture.kind.turns):
            # of a picture that a quarter turn counter-clockwise made of another, the same part of that one
            left, top, right, bottom = height - bottom, left, height - top, right
            height, width = width, height
        with _told_as_damage(picture.kind):
            image = new_image(*shape)
            colours = self._colours_as_decoded(picture, left, top, right, bottom)
            np.stack(colours, -1, out=np.rot90(image, -picture.kind.turns))
            return image

    def differ_in_a_row(self, first: PlanarPicture, second: PlanarPicture) -> bool:
        """Tell whether two pictures of one kind and size differ in the colours of a row whose luma differs.

        Raises:
            DecodeError: as `part`.
        """
        rows = np.flatnonzero((first.planes[0] != second.planes[0]).any(axis=1))
        if not rows.size:
            return False
        row, width = int(rows[0]), first.planes[0].shape[1]
        with _told_as_damage(first.kind):
            one, other = (
                np.stack(self._colours_as_decoded(picture, 0, row, width, row + 1))
                for picture in (first, second)
            )
            return not np.array_equal(one, other)

    def _colours_as_decoded(
        self, picture: PlanarPicture, left: int, top: int, right: int, bottom: int
    ) -> list[Plane]:
        """Return red, green and blue of a part of the picture as it was before it was turned."""
        height, width = picture.planes[0].shape
        # even: a sample of chroma is never cut in two
        x, y = max(left - _REACH_PX, 0) // 2 * 2, max(top - _REACH_PX, 0) // 2 * 2
        x_end, y_end = min(right + _REACH_PX + right % 2, width), min(bottom + _REACH_PX + bottom % 2, height)
        colours = self._tool(picture, y_end - y, x_end - x).colours_of(picture, x, y)
        return [colour[top - y : bottom - y, left - x : right - x] for colour in colours]

    def _tool(self, picture: PlanarPicture, height: int, width: int) -> _Tool:
        used_for = (picture.kind, picture.shape)
        if used_for != self._tools_are_for:
            self._tools.clear()
            self._tools_are_for = used_for
        size = (height, width)
        # the one that was used last stands last
        tool = self._tools.pop(size, None) or _Tool(picture.kind, height, width)
        self._tools[size] = tool
        most_px = _KEPT_FRAMES * picture.planes[0].size
        while len(self._tools) > _KEPT_SIZES or sum(h * w for h, w in self._tools) > most_px:
            del self._tools[next(iter(self._tools))]
        return tool


class _Tool:
    """What converts parts of one size: building it takes longer than using it."""

    def __init__(self, kind: PixelKind, height: int, width: int) -> None:
        from av.video.reformatter import VideoReformatter

        self._part = blank_picture(kind.layout, width, height, kind.siting)
        self._part.colorspace, self._part.color_range = kind.matrix, kind.levels
        self._reformatter = VideoReformatter()

    def colours_of(self, picture: PlanarPicture, x: int, y: int) -> tuple[Plane, ...]:
        """Return red, green and blue of the part of `picture`, as it was decoded, whose corner is given."""
        across, down = LAYOUTS[picture.kind.layout]
        for target, plane, (step_x, step_y) in zip(
            plane_arrays(self._part), picture.planes, ((1, 1), (across, down), (across, down)), strict=True
        ):
            height, width = target.shape
            from_y, from_x = y // step_y, x // step_x
            target[...] = plane[from_y : from_y + height, from_x : from_x + width]
        return exact_planes(self._reformatter, self._part)


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


def plane_shapes(layout: str, height: int, width: int) -> tuple[tuple[int, int], ...]:
    """Return height and width of each plane of a picture of even height and width."""
    across, down = LAYOUTS[layout]
    chroma = (height // down, width // across)
    return ((height, width), chroma, chroma)


def planes_in(memory: Plane, layout: str, height: int, width: int) -> tuple[Plane, ...]:
    """Return the planes of a picture of even height and width that lie in `uint8 [n]` one after the other."""
    planes = []
    end = 0
    for rows, columns in plane_shapes(layout, height, width):
        start, end = end, end + rows * columns
        planes.append(memory[start:end].reshape(rows, columns))
    return tuple(planes)
