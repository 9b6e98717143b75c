"""From a decoder's picture, in whatever pixel format, to upright RGB in memory that the caller chose."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._upright import OrientationReader, as_decoded, upright_shape

if TYPE_CHECKING:
    import av
    from av.video.reformatter import VideoReformatter

__all__ = ["LAYOUTS", "RgbConverter", "exact_planes", "new_image", "plane_arrays"]

Image = NDArray[np.uint8]

LAYOUTS = {
    "yuv420p": (2, 2),
    "yuvj420p": (2, 2),
    "yuv422p": (2, 1),
    "yuvj422p": (2, 1),
    "yuv444p": (1, 1),
    "yuvj444p": (1, 1),
}
"""FFmpeg's names of three planes of 8 bits, luma and two of chroma, and how many px of luma a sample of
chroma spans, across and down."""

_EIGHT_BITS = {*LAYOUTS, "nv12"}
_TEN_BITS = {"yuv420p10le", "yuv422p10le", "yuv444p10le", "p010le"}
_PLANAR_FIRST = _EIGHT_BITS | _TEN_BITS
"""Formats that give the same pixels whether FFmpeg converts them straight to packed RGB, which it does one
pixel at a time, or first to planes, which it does with vector instructions: 0.57 of the processor time on
1080p (`tests/media/cost.py`). A test compares the pixels."""


def new_image(height: int, width: int) -> Image:
    """Return memory for an image, `uint8 [height, width, 3]`."""
    return np.empty((height, width, 3), np.uint8)


def plane_arrays(picture: av.VideoFrame) -> tuple[Image, ...]:
    """Return the planes of a picture of 8 bits, `uint8 [h, w]` each, in its own memory."""
    planes: tuple[Any, ...] = picture.planes
    return tuple(
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        for plane in planes
    )


def exact_planes(reformatter: VideoReformatter, picture: av.VideoFrame) -> tuple[Image, ...]:
    """Return red, green and blue of a picture, `uint8 [h, w]` each, as FFmpeg's most exact way has them.

    Raises:
        av.error.FFmpegError, ValueError: where FFmpeg cannot convert its format.
    """
    green, blue, red = plane_arrays(_exact(reformatter, picture, "gbrp"))
    return red, green, blue


class RgbConverter:
    """Converts the pictures of one video, by the matrix and range that each states."""

    def __init__(self, place: Callable[[int, int], Image]) -> None:
        """Write each image where `place(height, width)` says: `uint8 [height, width, 3]`, contiguous."""
        from av.video.reformatter import VideoReformatter

        self._place = place
        # one for each path: a converter that changes its formats is built anew each time
        self._packed, self._planar = VideoReformatter(), VideoReformatter()
        self._orientations = OrientationReader()

    def convert(self, picture: av.VideoFrame) -> Image:
        """Return the picture as `uint8 [H, W, 3]` RGB, upright.

        Raises:
            av.error.FFmpegError, ValueError: where FFmpeg cannot convert its format.
        """
        orientation = self._orientations.read(picture)
        # at odd heights the two paths round the last row of chroma apart, by one level
        is_planar_first = picture.format.name in _PLANAR_FIRST and picture.height % 2 == 0
        if is_planar_first:
            colours: Any = exact_planes(self._planar, picture)
        else:
            colours = _exact(self._packed, picture, "rgb24").to_ndarray()
        image = self._place(*upright_shape(colours[0] if is_planar_first else colours, orientation))
        pixels = as_decoded(image, orientation)
        if is_planar_first:
            np.stack(colours, -1, out=pixels)
        else:
            pixels[...] = colours
        return image


def _exact(reformatter: VideoReformatter, picture: av.VideoFrame, kind: str) -> av.VideoFrame:
    from av.video.reformatter import Interpolation

    flags = (
        Interpolation.BILINEAR
        | Interpolation.ACCURATE_RND
        | Interpolation.BITEXACT
        | Interpolation.FULL_CHR_H_INT
    )
    # threads=1: the cores belong to the detector
    return reformatter.reformat(picture, format=kind, interpolation=flags, threads=1)
