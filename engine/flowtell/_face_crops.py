"""Cuts faces out of frames: `cuts.onnx` and `crop.onnx`.

A crop is signed where a shot may end, and scaled to the size that the detector reads where it is going to be
looked at. Both take the colours of its pixels, which are made then.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ._clock import StageClock
from ._faces import Box
from ._frame import Frame, FramePart, Place
from ._plane_changes import COLOUR_ERROR
from ._sessions import GraphSession, require_shape
from ._signature import SIGNATURE_SHAPE, signature_samples

__all__ = ["Cropper", "FaceCrop", "WaitingPixels", "visible_place"]

_ROUNDED = 1
"""Level by which rounding can move two means apart."""


class WaitingPixels:
    """Room for pixels that wait to be scaled, in the bytes that they take beyond what their crops would."""

    def __init__(self, max_bytes: int) -> None:
        self._free_bytes = max_bytes

    def take(self, count: int) -> bool:
        """Take `count` bytes, if they are there."""
        has_room = count <= self._free_bytes
        if has_room:
            self._free_bytes -= count
        return has_room

    def give_back(self, count: int) -> None:
        """Give back what was taken."""
        self._free_bytes += count


class FaceCrop:
    """A box of one frame: the crop, or the part of the frame that it is made of when it is first asked for.

    For the thread that follows the faces.
    """

    def __init__(self, cropper: Cropper, part: FramePart, box: NDArray[np.int64]) -> None:
        """Keep what a frame shows of a box; `box` is in px of that part."""
        self._cropper = cropper
        self._box = box
        self._part: FramePart | None = part
        self._image: NDArray[np.uint8] | None = None
        self._signature: NDArray[np.uint8] | None = None
        self._room: WaitingPixels | None = None
        self._taken_bytes = 0

    def __del__(self) -> None:
        """Give back the room of a part that nobody asked for."""
        self._leave()

    @property
    def image(self) -> NDArray[np.uint8]:
        """The crop: `uint8 [S, S, 3]` RGB."""
        if self._image is None:
            pixels = self._pixels()
            if self._signature is None:
                # its pixels go, and a later frame may have to know
                self._signature = self._cropper.signature(pixels, self._box)
            self._image = self._cropper.scaled(pixels, self._box)
            self._part = None
            self._leave()
        return self._image

    @property
    def signature(self) -> NDArray[np.uint8]:
        """`uint8 [8, 8, 3]`, the means of 8x8 tiles of the box, for finding shot cuts."""
        if self._signature is None:
            self._signature = self._cropper.signature(self._pixels(), self._box)
        return self._signature

    def most_difference(self, before: FaceCrop) -> int | None:
        """Return what the signatures' absolute differences add up to at most; None where none is known.

        Args:
            before: the same box in another frame.
        """
        if self._part is None or before._part is None or not np.array_equal(self._box, before._box):
            return None
        with self._cropper.clock.stage("crop"):
            rows, columns = signature_samples(tuple(self._box.tolist()), self._part.height, self._part.width)
            change = self._part.most_change(before._part, rows, columns)
        if change is None:
            return None
        return math.ceil(change) + math.prod(SIGNATURE_SHAPE) * (COLOUR_ERROR + _ROUNDED)

    def wait_in(self, room: WaitingPixels) -> None:
        """Keep the part if there is room for it; else make the crop now."""
        assert self._part is not None
        count = max(self._part.nbytes - self._cropper.crop_bytes, 0)
        if room.take(count):
            self._room, self._taken_bytes = room, count
            self._part.rest()
        else:
            _ = self.image

    def _pixels(self) -> NDArray[np.uint8]:
        assert self._part is not None
        with self._cropper.clock.stage("crop"):
            return self._part.image

    def _leave(self) -> None:
        if self._room is not None:
            self._room.give_back(self._taken_bytes)
            self._room = None


class Cropper:
    """Cuts boxes out of frames and scales them to the bundle's crop size S.

    Attributes:
        clock: counts what it does as the stage `crop`.
        crop_bytes: of one crop.
    """

    def __init__(self, cuts: GraphSession, crop: GraphSession, crop_size: int, clock: StageClock) -> None:
        self.clock = clock
        self._cuts = cuts
        self._crop = crop
        self._crop_size = crop_size
        self.crop_bytes = 3 * crop_size**2

    def cut(self, frame: Frame, box: Box) -> FaceCrop:
        """Return the crop of `box` from `frame`, the edge repeated outside it; it is not yet made."""
        x, y, width, height = box
        left, top, right, bottom = visible_place(frame, box)
        # no more than the graphs would cut out of the whole frame
        part = frame.part(left, top, right, bottom)
        return FaceCrop(self, part, np.array((x - left, y - top, width, height), dtype=np.int64))

    def signature(self, part: NDArray[np.uint8], box: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return what `cuts.onnx` says of a part, `uint8 [h, w, 3]`, and a box in px of it, `int64 [4]`."""
        with self.clock.stage("crop"):
            (signature,) = self._cuts.run(("signature",), frame=part, box=box)
        return require_shape(signature, SIGNATURE_SHAPE, "cuts.onnx")

    def scaled(self, part: NDArray[np.uint8], box: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return what `crop.onnx` makes of them: `uint8 [S, S, 3]`."""
        with self.clock.stage("crop"):
            (crop,) = self._crop.run(("crop",), frame=part, box=box)
        return require_shape(crop, (self._crop_size, self._crop_size, 3), "crop.onnx")


def visible_place(frame: Frame, box: Box) -> Place:
    """Return the part of a frame that shows a box, or what is nearest to it."""
    x, y, width, height = box
    left, right = _visible(x, width, frame.width)
    top, bottom = _visible(y, height, frame.height)
    return left, top, right, bottom


def _visible(start: int, extent: int, size: int) -> tuple[int, int]:
    """Return what a frame of `size` px has of a side of a box, at least one px, the nearest to the box."""
    first = min(max(start, 0), size - 1)
    return first, max(min(start + extent, size), first + 1)
