"""Pictures as most decoders give them, luma and chroma apart.

Colours cost more than decoding, and of most frames only what lies around a face is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ._colour import LAYOUTS, plane_arrays
from ._siting import siting_of
from ._upright import OrientationReader, upright_shape

if TYPE_CHECKING:
    import av

__all__ = [
    "LEAST_PX",
    "MATRICES",
    "MOST_LEVELS",
    "PixelKind",
    "PlanarPicture",
    "Plane",
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

Plane = NDArray[np.uint8]


@dataclass(frozen=True)
class PixelKind:
    """What the colours of planes depend on, apart from their levels.

    Attributes:
        layout: one of `LAYOUTS`.
        matrix: FFmpeg's number of the matrix between its colours and RGB (`AVColorSpace`).
        levels: FFmpeg's number of the range of its levels (`AVColorRange`).
        siting: where its chroma lies, one of `SITINGS`.
        orientation: what sets the picture upright, one of `ORIENTATIONS`.
    """

    layout: str
    matrix: int
    levels: int
    siting: str
    orientation: int


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
        return upright_shape(self.planes[0], self.kind.orientation)

    @property
    def nbytes(self) -> int:
        """Bytes of its planes."""
        return sum(plane.size for plane in self.planes)

    def copy(self) -> PlanarPicture:
        """Return the same picture in memory of its own."""
        return PlanarPicture(self.kind, tuple(plane.copy() for plane in self.planes))

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
        self._orientations = OrientationReader()
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
        kind = PixelKind(layout, matrix, levels, siting, self._orientations.read(picture))
        return PlanarPicture(kind, plane_arrays(picture))

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
