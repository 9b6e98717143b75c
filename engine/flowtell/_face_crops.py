"""Cuts faces out of frames: `cuts.onnx` and `crop.onnx`.

Every crop is signed, which is quick and tells where a shot ends. Scaling it to the size that the detector
reads takes several times as long, and is done where the crop is going to be looked at.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._clock import StageClock
from ._faces import Box
from ._frame import Frame, Place
from ._sessions import GraphSession, require_shape

__all__ = ["Cropper", "FaceCrop", "WaitingPixels", "visible_place"]

_SIGNATURE_SHAPE = (8, 8, 3)


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
    """A box of one frame: the crop, or the pixels that it is made of when it is first asked for.

    For the thread that follows the faces.

    Attributes:
        signature: `uint8 [8, 8, 3]`, the means of 8x8 tiles of the box, for finding shot cuts.
    """

    def __init__(self, cropper: Cropper, part: NDArray[np.uint8], box: NDArray[np.int64]) -> None:
        """Keep what a frame shows of a box, `uint8 [h, w, 3]` RGB; `box` is in px of that part."""
        self._cropper = cropper
        self._box = box
        self._pixels = part
        self._is_made = False
        self._room: WaitingPixels | None = None
        self._taken_bytes = 0
        self.signature = cropper.signature(part, box)

    def __del__(self) -> None:
        """Give back the room of pixels that nobody asked for."""
        self._leave()

    @property
    def image(self) -> NDArray[np.uint8]:
        """The crop: `uint8 [S, S, 3]` RGB."""
        if not self._is_made:
            self._pixels = self._cropper.scaled(self._pixels, self._box)
            self._is_made = True
            self._leave()
        return self._pixels

    def wait_in(self, room: WaitingPixels) -> None:
        """Keep the pixels if there is room for them; else make the crop now."""
        count = max(self._pixels.nbytes - self._cropper.crop_bytes, 0)
        if room.take(count):
            self._room, self._taken_bytes = room, count
        else:
            _ = self.image

    def _leave(self) -> None:
        if self._room is not None:
            self._room.give_back(self._taken_bytes)
            self._room = None


class Cropper:
    """Cuts boxes out of frames and scales them to the bundle's crop size S.

    Attributes:
        crop_bytes: of one crop.
    """

    def __init__(self, cuts: GraphSession, crop: GraphSession, crop_size: int, clock: StageClock) -> None:
        self._cuts = cuts
        self._crop = crop
        self._crop_size = crop_size
        self._clock = clock
        self.crop_bytes = 3 * crop_size**2

    def cut(self, frame: Frame, box: Box) -> FaceCrop:
        """Return the crop of `box` from `frame`, the edge repeated outside it: signed, but not yet made."""
        x, y, width, height = box
        with self._clock.stage("crop"):
            left, top, right, bottom = visible_place(frame, box)
            # no more than the graphs would cut out of the whole frame
            part = frame.part(left, top, right, bottom)
        return FaceCrop(self, part, np.array((x - left, y - top, width, height), dtype=np.int64))

    def signature(self, part: NDArray[np.uint8], box: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return what `cuts.onnx` says of a part, `uint8 [h, w, 3]`, and a box in px of it, `int64 [4]`."""
        with self._clock.stage("crop"):
            (signature,) = self._cuts.run(("signature",), frame=part, box=box)
        return require_shape(signature, _SIGNATURE_SHAPE, "cuts.onnx")

    def scaled(self, part: NDArray[np.uint8], box: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return what `crop.onnx` makes of them: `uint8 [S, S, 3]`."""
        with self._clock.stage("crop"):
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
