"""From a decoder's picture, in whatever pixel format, to upright RGB in memory that the caller chose."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av

__all__ = ["RgbConverter", "new_image"]

Image = NDArray[np.uint8]

_EIGHT_BITS = {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12"}
_TEN_BITS = {"yuv420p10le", "yuv422p10le", "yuv444p10le", "p010le"}
_PLANAR_FIRST = _EIGHT_BITS | _TEN_BITS
"""Formats that give the same pixels whether FFmpeg converts them straight to packed RGB, which it does one
pixel at a time, or first to planes, which it does with vector instructions: 0.57 of the processor time on
1080p (`tests/media/cost.py`). A test compares the pixels."""


def new_image(height: int, width: int) -> Image:
    """Return memory for an image, `uint8 [height, width, 3]`."""
    return np.empty((height, width, 3), np.uint8)


class RgbConverter:
    """Converts the pictures of one video, by the matrix and range that each states."""

    def __init__(self, place: Callable[[int, int], Image]) -> None:
        """Write each image where `place(height, width)` says: `uint8 [height, width, 3]`, contiguous."""
        from av.video.reformatter import Interpolation, VideoReformatter

        self._place = place
        # one for each path: a converter that changes its formats is built anew each time
        self._packed, self._planar = VideoReformatter(), VideoReformatter()
        self._exact = (
            Interpolation.BILINEAR
            | Interpolation.ACCURATE_RND
            | Interpolation.BITEXACT
            | Interpolation.FULL_CHR_H_INT
        )

    def convert(self, picture: av.VideoFrame) -> Image:
        """Return the picture as `uint8 [H, W, 3]` RGB, turned upright.

        Raises:
            av.error.FFmpegError, ValueError: where FFmpeg cannot convert its format.
        """
        height, width = picture.height, picture.width
        turns = round(picture.rotation / 90) % 4
        # at odd heights the two paths round the last row of chroma apart, by one level
        is_planar_first = picture.format.name in _PLANAR_FIRST and height % 2 == 0
        reformatter, kind = (self._planar, "gbrp") if is_planar_first else (self._packed, "rgb24")
        # threads=1: the cores belong to the detector
        converted = reformatter.reformat(picture, format=kind, interpolation=self._exact, threads=1)
        image = self._place(*((width, height) if turns % 2 else (height, width)))
        as_decoded = np.rot90(image, -turns)
        if is_planar_first:
            planes: tuple[Any, ...] = converted.planes
            green, blue, red = (
                np.frombuffer(plane, np.uint8).reshape(height, -1)[:, :width] for plane in planes
            )
            np.stack([red, green, blue], -1, out=as_decoded)
        else:
            as_decoded[...] = converted.to_ndarray()
        return image
