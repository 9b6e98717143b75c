"""Decodes a video file into RGB frames with their times, and tells a broken file from one that ends.

PyAV (FFmpeg) reads; a whitelist of containers keeps out formats that open other files (playlists) or that
draw text.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from ._colour import RgbConverter, new_image
from ._endings import missing_end
from ._errors import DecodeError
from ._frame import Frame, PlanarFrame, RgbFrame
from ._planar_parts import PartConverter
from ._planes import PlaneTaker

if TYPE_CHECKING:
    import av

__all__ = ["VIDEO_SUFFIXES", "VideoReader", "require_file"]

MAX_SIDE_PX = 8192
MAX_FRAME_PX = 8192 * 4320
"""8K in both its shapes, 7680x4320 and 8192x4320: 106 MB a frame in RGB."""

_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,h264,hevc,flv,ogg,asf,gif,"
    "yuv4mpegpipe,ivf,mxf,dv,rm,nut,obu,mjpeg"
)
_READ = "MP4, MOV, Matroska, WebM, AVI, MPEG, FLV, Ogg, ASF, GIF and a few more"
# fmt: off
VIDEO_SUFFIXES = (
    ".3g2", ".3gp", ".asf", ".avi", ".dv", ".flv", ".ivf", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg",
    ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv",
)
# fmt: on
"""Endings, in lower case, by which the videos of a folder are told: those in use of the containers above."""

_MAX_BROKEN_AT_START = 250
"""A recording of a broadcast begins inside a group of pictures: 10 s without a start, at 25 fps."""


class VideoReader:
    """Iterates over the frames of the first good video stream of one file, once.

    Colours are converted by the matrix and range that the stream states, BT.601 limited where it states none;
    10 bits become 8, grey becomes equal channels, alpha is dropped. Frames come in presentation order; large
    ones come with their colours yet to be made (`PlanarFrame`). Use as a context manager; leaving it closes
    the file.

    Attributes:
        duration_s: what the file's header says that its video lasts, in seconds, or else that the whole file
            lasts, with its sound; None where it says neither. It may be wrong.
    """

    def __init__(
        self, path: str | os.PathLike[str], place: Callable[[int, int], NDArray[np.uint8]] = new_image
    ) -> None:
        """Open `path`; images that are made at once are written where `place(height, width)` says.

        That is memory for `uint8 [height, width, 3]`.

        Raises:
            DecodeError: `undecodable` where it is missing, no media file, or has no video; `too_large` where
                its frames have a side over 8192 px or more than 8192x4320 px.
        """
        import av

        self._av = av
        require_file(path)
        try:
            self._container: av.container.InputContainer = av.open(
                f"file:{Path(path).absolute()}",
                container_options={"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"},
                **_lenient_metadata(av.__version__),
            )
        except MemoryError as error:
            raise _out_of_memory() from error
        except av.error.ArgumentError as error:
            # what FFmpeg says of a container that is not in the list
            raise DecodeError("undecodable", f"it is in no format that is read here: {_READ}") from error
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise DecodeError("undecodable", f"it cannot be opened as a video: {_words(error)}") from error
        try:
            self._stream = self._best_stream()
            context = self._stream.codec_context
            if context is None:
                raise DecodeError("undecodable", "its video is in a codec that FFmpeg here does not decode")
            _require_size(context.width, context.height)
        except DecodeError:
            self._container.close()
            raise
        # one thread: the cores belong to the detector, and broken streams then break alike every time
        context.thread_count = 1
        context.options = {"max_pixels": str(MAX_FRAME_PX)}
        base = self._stream.time_base
        self._time_base = float(base) if base else 0.0
        self._start = self._stream.start_time or 0
        self._packets_end_s = 0.0
        self._rgb_converter = RgbConverter(place)
        self._plane_taker, self._part_converter = PlaneTaker(), PartConverter()
        self._missing = missing_end(path, self._container.format.name)
        # these do not say how long a picture is: FFmpeg cannot tell that the last is not whole
        endless = self._container.format.name in ("mpegts", "gif")
        self._is_last_doubtful = self._missing is not None and endless
        self.duration_s = self._stated_duration_s()

    def __enter__(self) -> VideoReader:
        """Return the reader."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames until the stream ends.

        Raises:
            DecodeError: after the last good frame, where the stream breaks or the file stops before it said
                it would (`truncated`; `undecodable` if there was no good frame), or grows past the limits
                (`too_large`).
        """
        end_s, step_s = 0.0, self._nominal_step_s()
        any_frame = False
        for picture in self._pictures():
            _require_size(picture.width, picture.height)
            if picture.pts is not None:
                end_s = (picture.pts - self._start) * self._time_base
            yield self._frame(picture, end_s)
            end_s += step_s
            any_frame = True
        if not any_frame:
            raise DecodeError("undecodable", "it has a video stream but no picture in it")
        if self._missing is not None:
            raise DecodeError("truncated", f"it was cut short: {self._missing}")
        stated_s = self.duration_s
        if self._stream.duration is None:
            # the header speaks for the longest stream: sound that outlasts the pictures is no damage
            end_s = max(end_s, self._packets_end_s)
        # headers round, count from another start or leave the last picture out: less is no damage
        if stated_s is not None and end_s < stated_s - max(1.0, 0.05 * stated_s):
            raise DecodeError(
                "truncated", f"its header promises {stated_s:.1f} s but it ends at {end_s:.1f} s"
            )

    def _best_stream(self) -> av.VideoStream:
        covers = self._av.stream.Disposition.attached_pic
        for stream in self._container.streams.video:
            if not stream.disposition & covers:
                return stream
        kinds = " and ".join(sorted({stream.type for stream in self._container.streams}))
        raise DecodeError("undecodable", f"it has no video in it, only {kinds or 'nothing'}")

    def _stated_duration_s(self) -> float | None:
        if self._stream.duration is not None and self._time_base:
            return float(self._stream.duration * self._time_base)
        if self._container.duration is not None:
            return float(self._container.duration / self._av.time_base)
        return None

    def _nominal_step_s(self) -> float:
        rate = self._stream.average_rate
        return float(1 / rate) if rate else 0.0

    def _pictures(self) -> Iterator[av.VideoFrame]:
        """Yield good pictures; stop with a DecodeError at the first damage after a good one.

        A decoder hides damage by inventing pixels, and invented pixels move like nothing real: a picture it
        marks as corrupt is worth less than none.
        """
        broken = 0
        any_good = False
        for pictures, damage in self._decoded_packets():
            for picture in pictures:
                if picture.is_corrupt:
                    damage = damage or f"a damaged picture at {picture.time} s"
                    break
                any_good = True
                yield picture
            if damage is None:
                continue
            if any_good:
                raise DecodeError("truncated", f"the stream is broken: {damage}")
            broken += 1
            if broken > _MAX_BROKEN_AT_START:
                raise DecodeError("undecodable", f"none of its first {broken} packets decodes: {damage}")

    def _decoded_packets(self) -> Iterator[tuple[list[av.VideoFrame], str | None]]:
        """Yield (pictures, damage) for each packet, the decoder's delayed pictures last.

        Packets of sound are not decoded: their times only tell how far the file goes.
        """
        audio = self._container.streams.audio
        packets = self._container.demux(self._stream, *audio)
        held: Any = None
        while True:
            pictures: list[av.VideoFrame] = []
            damage = None
            try:
                packet = next(packets, None)
            except IndexError:
                # PyAV does not know a stream that begins in the middle of a file; its packets are not wanted
                packets = self._container.demux(self._stream, *audio)
                continue
            except MemoryError as error:
                raise _out_of_memory() from error
            except self._av.error.FFmpegError as error:
                yield [], _words(error)
                return
            if packet is None:
                return
            if packet.pts is not None and packet.time_base:
                end_s = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                self._packets_end_s = max(self._packets_end_s, end_s)
            if packet.stream.index != self._stream.index:
                continue
            if packet.is_corrupt:
                # part of it is missing, and a decoder would invent that
                yield [], "a damaged packet"
                continue
            if self._missing is not None and not packet.size:
                # the decoder's delayed pictures: those that belong between them may be what is missing
                return
            if self._is_last_doubtful:
                packet, held = held, packet
                if packet is None:
                    continue
            try:
                pictures = cast("list[av.VideoFrame]", packet.decode())
            except MemoryError as error:
                raise _out_of_memory() from error
            except self._av.error.FFmpegError as error:
                damage = _words(error)
            yield pictures, damage

    def _frame(self, picture: av.VideoFrame, time_s: float) -> Frame:
        try:
            planes = self._plane_taker.take(picture)
            if planes is not None:
                return PlanarFrame(planes, time_s, self._part_converter)
            return RgbFrame(self._rgb_converter.convert(picture), time_s)
        except MemoryError as error:
            raise _out_of_memory() from error
        except (self._av.error.FFmpegError, ValueError) as error:
            kind = picture.format.name
            raise DecodeError(
                "undecodable", f"its pixel format {kind} cannot be converted: {_words(error)}"
            ) from error


def require_file(path: str | os.PathLike[str]) -> None:
    """Raise a DecodeError unless `path` is a file, or a link to one.

    Raises:
        DecodeError: `undecodable`, for a folder, a pipe, a device, or nothing at all.
    """
    try:
        is_file, exists = Path(path).is_file(), Path(path).exists()
    except (OSError, ValueError) as error:
        raise DecodeError("undecodable", f"it cannot be opened as a video: {_words(error)}") from error
    if is_file:
        return
    # an empty name would be the working folder
    is_folder = bool(os.fspath(path)) and Path(path).is_dir()
    what = "is a folder: name the videos in it" if is_folder else "is not a file"
    raise DecodeError("undecodable", f"'{path}' {what if exists else 'does not exist'}")


def _out_of_memory() -> DecodeError:
    return DecodeError("too_large", "decoding it takes more memory than it may have")


def _require_size(width: int, height: int) -> None:
    if width > MAX_SIDE_PX or height > MAX_SIDE_PX or width * height > MAX_FRAME_PX:
        raise DecodeError(
            "too_large",
            f"its frames are {width}x{height} px; "
            f"at most {MAX_SIDE_PX} px a side and {MAX_FRAME_PX} px in all are read",
        )


def _words(error: Exception) -> str:
    """Return what FFmpeg says without the number and the path around it."""
    return str(getattr(error, "strerror", None) or error)


def _lenient_metadata(pyav_version: str) -> dict[str, Any]:
    """Return what makes `av.open` accept titles that are no UTF-8; from PyAV 19 on it does so unasked."""
    return {} if int(pyav_version.split(".")[0]) >= 19 else {"metadata_errors": "replace"}
