"""One frame of a video, whose colours are there or are made where they are asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from ._planes import PartConverter, PlanarPicture

__all__ = ["Frame", "Place", "PlanarFrame", "RgbFrame"]

Image = NDArray[np.uint8]

Place = tuple[int, int, int, int]
"""Left, top, right and bottom of a part of a frame, in px; the last two lie outside it."""


class Frame(ABC):
    """One frame, upright (rotation metadata applied).

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
        self._parts: dict[Place, Image] = {}

    @property
    @abstractmethod
    def image(self) -> Image:
        """The whole frame: `uint8 [H, W, 3]`, RGB, C-contiguous."""

    def part(self, left: int, top: int, right: int, bottom: int) -> Image:
        """Return a copy of a part of `image`, which must lie in it: `uint8 [bottom - top, right - left, 3]`.

        Whoever asks for a part again gets the same copy, which is not to be written to.
        """
        place = (left, top, right, bottom)
        if place not in self._parts:
            self._parts[place] = self._copied(*place)
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
        return np.array_equal(self.part(*place), other.part(*place)) and self._is_equal(other)

    @abstractmethod
    def _copied(self, left: int, top: int, right: int, bottom: int) -> Image:
        """Return a copy of a part of `image`."""

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

    def _copied(self, left: int, top: int, right: int, bottom: int) -> Image:
        return self._image[top:bottom, left:right].copy()


class PlanarFrame(Frame):
    """A frame whose colours are made where they are asked for, by one thread at a time for each converter."""

    def __init__(self, picture: PlanarPicture, time_s: float, converter: PartConverter) -> None:
        super().__init__(time_s, picture.shape, picture.nbytes)
        self.picture = picture
        self._converter = converter
        self._whole: Image | None = None

    @property
    def image(self) -> Image:
        """The whole frame: `uint8 [H, W, 3]`, RGB, C-contiguous. Made once."""
        # a cached property of Python 3.11 has one lock for all frames of a process
        if self._whole is None:
            self._whole = self._converter.part(self.picture, 0, 0, self.width, self.height)
        return self._whole

    def _copied(self, left: int, top: int, right: int, bottom: int) -> Image:
        if self._whole is not None:
            return self._whole[top:bottom, left:right].copy()
        return self._converter.part(self.picture, left, top, right, bottom)

    def _is_equal(self, other: Frame) -> bool:
        if isinstance(other, PlanarFrame) and self.picture.kind == other.picture.kind:
            if self.picture.is_the_same_as(other.picture):
                return True
            if self._converter.differ_in_a_row(self.picture, other.picture):
                return False
        return super()._is_equal(other)
