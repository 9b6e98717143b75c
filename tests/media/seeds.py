"""Small valid videos of many containers and codecs, of one rendered face: what hostile files grow from."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from flowtell import samples

Image = NDArray[np.uint8]

RATE = 25


@dataclass(frozen=True)
class Recipe:
    """A container (the file's ending), a codec, and what they need to be told."""

    ending: str
    codec: str
    pix_fmt: str = "yuv420p"
    options: tuple[tuple[str, str], ...] = ()
    container_options: tuple[tuple[str, str], ...] = ()
    format: str | None = None

    @property
    def name(self) -> str:
        """Name of the file."""
        return f"{self.codec}.{self.ending}"


_H264 = (("threads", "1"), ("g", "12"), ("x264-params", "cpu-independent=1"))
"""Left to itself on a CPU with AVX-512, one thread of x264 wrote four different files in 150 times."""

_VPX = (("deadline", "good"), ("cpu-used", "5"))
"""Its `realtime` looks at the clock, and no two files would be the same."""

CONTAINERS = (
    Recipe("mp4", "libx264", options=_H264),
    Recipe("mov", "libx264", options=_H264, container_options=(("movflags", "faststart"),)),
    Recipe("mkv", "libx264", options=_H264),
    Recipe("avi", "mpeg4"),
    Recipe("ts", "libx264", options=_H264, format="mpegts"),
    Recipe("flv", "libx264", options=_H264),
    Recipe("mpg", "mpeg2video"),
    Recipe("nut", "mpeg4"),
    Recipe("webm", "libvpx", options=_VPX),
    Recipe("asf", "wmv2"),
)
"""The containers that hostile files are cut and flipped from; one codec each."""

CODECS = (
    Recipe("mp4", "libx265", options=(("x265-params", "pools=none:frame-threads=1:log-level=none"),)),
    Recipe("webm", "libvpx-vp9", options=_VPX),
    Recipe("avi", "mjpeg", "yuvj420p"),
    Recipe("mkv", "ffv1"),
    Recipe("mov", "prores_ks", "yuv422p10le"),
    Recipe("mov", "png", "rgb24"),
    Recipe("mov", "qtrle", "rgb24"),
    Recipe("avi", "huffyuv", "yuv422p"),
    Recipe("avi", "msmpeg4"),
    Recipe("flv", "flv"),
    Recipe("gif", "gif", "rgb8"),
    Recipe("y4m", "rawvideo", format="yuv4mpegpipe"),
    Recipe("h264", "libx264", options=_H264, format="h264"),
    Recipe("m2v", "mpeg2video", format="mpeg2video"),
    Recipe("ivf", "libvpx", options=_VPX),
)
"""More codecs, for the fuzzer."""


def face_frames(count: int, side_px: int) -> list[Image]:
    """Return the first frames of the natural sample, `uint8 [side, side, 3]` each."""
    frames: list[Image] = []
    with av.open(str(samples.natural_path())) as container:
        for picture in container.decode(video=0):
            frames.append(picture.to_ndarray(format="rgb24", width=side_px, height=side_px))
            if len(frames) == count:
                break
    return frames


def write_seed(recipe: Recipe, folder: Path, frames: list[Image]) -> Path:
    """Write the frames as the recipe says; return the file's path."""
    path = folder / recipe.name
    # bitexact: no dates and no random numbers
    container_options = {"fflags": "+bitexact", **dict(recipe.container_options)}
    with av.open(str(path), "w", format=recipe.format, container_options=container_options) as container:
        stream = container.add_stream(recipe.codec, rate=RATE, options=dict(recipe.options))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = recipe.pix_fmt
        stream.codec_context.thread_count = 1
        for tick, image in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.pts, picture.time_base = tick, Fraction(1, RATE)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path
