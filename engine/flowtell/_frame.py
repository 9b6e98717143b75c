"""One frame of a video, whose colours are there or are made where they are asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from ._planar_parts import PartConverter, PlanarPart, part_of
from ._plane_changes import Samples, most_change, surely_differ
from ._planes import PlanarPicture
from ._upright import upright_shape

__all__ = ["LEAST_PX", "Frame", "FramePart", "Place", "PlanarFrame", "RgbFrame"]

Image = NDArray[np.uint8]

Place = tuple[int, int, int, int]
"""Left, top, right and bottom of a part of a frame, in px; the last two lie outside it."""

LEAST_PX = 10_000
"""Area below which the colours of a part are made at once: telling how far they differ takes as long. A video
with boxes of 128 to 234 px is read in 3 to 8 % less processor time where they are not."""


class FramePart(ABC):
    """A part of a frame, upright, whose colours are there or are made where they are asked for.

    Attributes:
        height, width: in px.
    """

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width

    @property
    @abstractmethod
    def image(self) -> Image:
        """RGB, `uint8 [height, width, 3]`, C-contiguous, not to be written to.

        Raises:
            DecodeError: where it has no colours.
        """

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes that it takes once it rests."""

    @abstractmethod
    def rest(self) -> None:
        """Keep what colours are made of, and no more of the frame."""

    def shows_the_same(self, other: FramePart) -> bool:
        """Tell whether `image` is equal."""
        return np.array_equal(self.image, other.image)

    def most_change(self, before: FramePart, rows: Samples, columns: Samples) -> float | None:
        """Return an upper bound of how much its colours changed, as `most_change`; None for none."""
        del before, rows, columns
        return None


class Frame(ABC):
    """One frame, upright (turned and mirrored as its file says).

    Whatever asks for colours raises a `DecodeError` where a `PlanarFrame` has none.

    Attributes:
        time_s: presentation time in seconds from the start of the video stream.
        height, width: in px.
        nbytes: bytes of what it was made from.
    """

    def __init__(self, time_s: float, shape: tuple[int, ...], nbytes: int) -> None:
        self.time_s = time_s
        self.height, self.width = shape[:2]
        self.nbytes = nbytes
        self._parts: dict[Place, FramePart] = {}

    @property
    @abstractmethod
    def image(self) -> Image:
        """The whole frame: `uint8 [H, W, 3]`, RGB, C-contiguous."""

    def part(self, left: int, top: int, right: int, bottom: int) -> FramePart:
        """Return a part of `image`, which must lie in it.

        Whoever asks for a part again gets the same one.
        """
        place = (left, top, right, bottom)
        if place not in self._parts:
            self._parts[place] = self._cut(*place)
        return self._parts[place]

    def shows_the_same(self, other: Frame, looked_at: Place | None = None) -> bool:
        """Tell whether `image` is equal. Most that are not differ where a face is looked at, or in a row.

        Args:
            other: the frame before.
            looked_at: a part of this frame that is asked for next, and was of `other`; None for none.
        """
        if (self.height, self.width) != (other.height, other.width):
            return False
        middle = self.height // 2
        place = looked_at or (0, middle, self.width, middle + 1)
        return self.part(*place).shows_the_same(other.part(*place)) and self._is_equal(other)

    @abstractmethod
    def _cut(self, left: int, top: int, right: int, bottom: int) -> FramePart:
        """Return a part that nobody has asked for."""

    def _is_equal(self, other: Frame) -> bool:
        return np.array_equal(self.image, other.image)


class RgbFrame(Frame):
    """A frame whose colours are there."""

    def __init__(self, image: Image, time_s: float) -> None:
        """Take an image, `uint8 [H, W, 3]`, RGB, upright, C-contiguous."""
        super().__init__(time_s, image.shape, image.nbytes)
        self._image = image

    @property
    def image(self) -> Image:
        """The whole frame: `uint8 [H, W, 3]`, RGB, C-contiguous."""
        return self._image

    def _cut(self, left: int, top: int, right: int, bottom: int) -> FramePart:
        # a copy: whoever pushed the frame may write to it
        return _RgbPart(self._image[top:bottom, left:right].copy())


class _RgbPart(FramePart):
    def __init__(self, image: Image) -> None:
        super().__init__(*image.shape[:2])
        self._image = image

    @property
    def image(self) -> Image:
        return self._image

    @property
    def nbytes(self) -> int:
        return self._image.nbytes

    def rest(self) -> None:
        pass


class PlanarFrame(Frame):
    """A frame whose colours are made where they are asked for, by one thread at a time for each converter."""

    def __init__(self, picture: PlanarPicture, time_s: float, converter: PartConverter) -> None:
        super().__init__(time_s, picture.shape, picture.nbytes)
        self.picture = picture
        self._converter = converter
        self._whole = _PlanarPart(part_of(picture, 0, 0, self.width, self.height), converter)

    @property
    def image(self) -> Image:
        """The whole frame: `uint8 [H, W, 3]`, RGB, C-contiguous. Made once."""
        return self._whole.image

    def _cut(self, left: int, top: int, right: int, bottom: int) -> FramePart:
        part = part_of(self.picture, left, top, right, bottom)
        whole = self._whole.made_image
        image = None if whole is None else whole[top:bottom, left:right].copy()
        if (right - left) * (bottom - top) < LEAST_PX:
            return _RgbPart(self._converter.colours(part) if image is None else image)
        return _PlanarPart(part, self._converter, image)

    def _is_equal(self, other: Frame) -> bool:
        if isinstance(other, PlanarFrame):
            return self._whole.shows_the_same(other._whole)
        return super()._is_equal(other)


class _PlanarPart(FramePart):
    """A part whose colours are made once, and once more where they are asked for after it has come to rest.

    Attributes:
        made_image: `image`, if it is there; None where it has to be made.
    """

    def __init__(self, part: PlanarPart, converter: PartConverter, made_image: Image | None = None) -> None:
        super().__init__(*upright_shape(part.luma, part.around.kind.orientation))
        self._part = part
        self._converter = converter
        self.made_image = made_image
        self._rests = False

    @property
    def image(self) -> Image:
        # a cached property of Python 3.11 has one lock for all parts of a process
        image = self.made_image
        if image is None:
            image = self._converter.colours(self._part)
            if not self._rests:
                self.made_image = image
        return image

    @property
    def nbytes(self) -> int:
        return self._part.around.nbytes

    def rest(self) -> None:
        if not self._rests:
            self._rests = True
            self._part, self.made_image = self._part.copy(), None

    def shows_the_same(self, other: FramePart) -> bool:
        if isinstance(other, _PlanarPart) and self._part.is_like(other._part):
            if surely_differ(self._part, other._part):
                return False
            if self._part.around.is_the_same_as(other._part.around):
                return True
            if self._converter.differ_where_luma_does(self._part, other._part):
                return False
        return super().shows_the_same(other)

    def most_change(self, before: FramePart, rows: Samples, columns: Samples) -> float | None:
        if not isinstance(before, _PlanarPart):
            return None
        return most_change(before._part, self._part, rows, columns)
