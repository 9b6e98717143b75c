"""Where chroma lies between samples of luma: PyAV does not tell, but what FFmpeg makes of it shows it."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._colour import exact_planes, plane_arrays

if TYPE_CHECKING:
    import av

__all__ = ["SITINGS", "blank_picture", "siting_of"]

SITINGS = ("unspecified", "left", "center", "topleft", "top", "bottomleft", "bottom")
"""FFmpeg's names, in the order of its numbers (`AVChromaLocation`)."""

_PROBE_PX = 16
_PROBE_STEP = 97
"""Of a ramp modulo 256: steep enough that chroma read a quarter of a sample further off shows everywhere."""


def blank_picture(layout: str, width: int, height: int, siting: str) -> av.VideoFrame:
    """Return a picture whose pixels are yet to be written, and whose chroma lies where `siting` says.

    Raises:
        av.error.FFmpegError, ValueError, RuntimeError: where FFmpeg lacks the filters that it takes.
    """
    import av
    from av.filter import Graph

    graph = Graph()
    # a chain of filters starts a thread for each core unless it is told not to
    graph.threads = 1
    source = graph.add_buffer(
        width=width, height=height, format=av.VideoFormat(layout), time_base=Fraction(1, 25)
    )
    told = graph.add("setparams", f"chroma_location={siting}")
    sink = graph.add("buffersink")
    source.link_to(told)
    told.link_to(sink)
    graph.configure()
    graph.push(av.VideoFrame(width, height, layout))
    picture: Any = graph.pull()
    picture.make_writable()
    return picture  # type: ignore[no-any-return]


def siting_of(picture: av.VideoFrame) -> str | None:
    """Return a siting that gives the very colours of `picture`'s own; None where there is none.

    A picture that says of itself what this one does is filled with a ramp and converted, and so is one of
    each siting. Where two give the same colours, either will do.

    Raises:
        av.error.FFmpegError, ValueError, RuntimeError: as `blank_picture`, or where it cannot be converted.
    """
    from av.video.reformatter import VideoReformatter

    # at the picture's own size it would be the picture itself
    height = _PROBE_PX if picture.height != _PROBE_PX else 2 * _PROBE_PX
    probe: Any = VideoReformatter().reformat(picture, width=_PROBE_PX, height=height, threads=1)
    probe.make_writable()
    wanted = _colours_of_ramp(probe, picture)
    for siting in SITINGS:
        candidate = blank_picture(picture.format.name, _PROBE_PX, height, siting)
        if np.array_equal(_colours_of_ramp(candidate, picture), wanted):
            return siting
    return None


def _colours_of_ramp(picture: av.VideoFrame, like: av.VideoFrame) -> NDArray[np.uint8]:
    from av.video.reformatter import VideoReformatter

    picture.colorspace, picture.color_range = like.colorspace, like.color_range
    for plane in plane_arrays(picture):
        plane[...] = (np.arange(plane.size) * _PROBE_STEP % 256).reshape(plane.shape)
    return np.stack(exact_planes(VideoReformatter(), picture))
