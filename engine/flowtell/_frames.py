"""Opens a video for reading, frame by frame, decoded by another process that may crash or hang."""

from __future__ import annotations

import atexit
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

from ._decode import VideoReader, require_file
from ._decode_limits import DecodeLimits
from ._decoder_process import DecoderGoneError, DecoderPool, DecoderProcess, DecoderTimeoutError
from ._decoder_protocol import (
    Failure,
    FrameNotice,
    Kind,
    OpenRequest,
    ProtocolError,
    pack_slot,
    unpack_duration,
)
from ._errors import DecodeError, IsolationError
from ._frame import Frame, PlanarFrame, RgbFrame
from ._interpreters import DECODER_VARIABLE, IN_PROCESS, is_isolated
from ._landlock import TCP_SINCE
from ._planar_parts import PartConverter
from ._planes import PlanarPicture, planes_in
from ._run_control import Interrupt

__all__ = ["FrameSource", "IsolatedReader", "describe_decoder", "open_frames"]

_MOST_LINKS = 40
"""That Linux follows from one name (path_resolution(7))."""

Said = TypeVar("Said")


class FrameSource(Protocol):
    """The frames of one file, once, in presentation order: `VideoReader` here or in another process.

    Attributes:
        duration_s: what the file says that it lasts, in seconds; None where it does not. It may be wrong.
    """

    duration_s: float | None

    def __enter__(self) -> FrameSource:
        """Return the source."""

    def __exit__(self, *_: object) -> None:
        """Close the file."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames; raise DecodeError after the last good one of a file that breaks."""


def open_frames(
    path: str | os.PathLike[str],
    limits: DecodeLimits | None = None,
    *,
    interrupt: Interrupt | None = None,
) -> FrameSource:
    """Open a video file for iteration over its frames. Use as a context manager.

    The file is decoded ahead of the caller by another process, as far as the ring between them reaches. What
    comes out is the same, bit for bit, as from `VideoReader`, which reads in this process.

    Args:
        path: a video file.
        limits: what decoding may take; None for the defaults.
        interrupt: ends a wait for the decoder from another thread, as if it had broken down; decoding inside
            this process goes on.

    Raises:
        DecodeError: as `VideoReader`; also `timed_out` and `too_large` where a limit is reached, and
            `undecodable` where the decoder crashes or is ended each time that it starts. While iterating, a
            crash after a good frame is `truncated`.
        IsolationError: where no decoder can be started.
    """
    if is_isolated():
        return IsolatedReader(path, limits or DecodeLimits(), interrupt or Interrupt())
    if DECODER_VARIABLE not in os.environ:
        warnings.warn(
            f"videos are decoded inside this process, where a crafted file can harm it: decoding them in "
            f"another needs Linux; set {DECODER_VARIABLE}=in-process to accept that",
            RuntimeWarning,
            stacklevel=2,
        )
    return VideoReader(path)


def describe_decoder() -> str:
    """Return how videos are decoded here, once a decoder has been started to see.

    Raises:
        IsolationError: where none can be started.
        DecodeError: where those that started before are ended now.
    """
    if not is_isolated():
        return f"inside the process that calls ({DECODER_VARIABLE}={IN_PROCESS}, or no Linux)"
    decoder = _take_decoder()
    _pool.give_back(decoder)
    denied = "Landlock denies it to write files, to start programs and to use TCP"
    held = denied if decoder.landlock >= TCP_SINCE else "this kernel's Landlock is too old to hold it"
    return f"in a process of its own, run by {decoder.interpreter}; {held}"


class IsolatedReader:
    """A `FrameSource` whose file is decoded by another process. For one thread at a time."""

    def __init__(self, path: str | os.PathLike[str], limits: DecodeLimits, interrupt: Interrupt) -> None:
        """Open `path`; raises as `open_frames`."""
        require_file(path)
        request = OpenRequest(os.fsencode(_name_elsewhere(path)), limits.cpu_s, limits.memory_bytes)
        self._limits = limits
        self._waited_s = 0.0
        self._any_frame = False
        self._decoder = _take_decoder()
        self._interrupt = interrupt
        self._interrupt.watch(self._decoder.interrupt)
        self._open = True
        try:
            self._tell(Kind.OPEN, request.pack())
            self._part_converter = _part_converter()
            kind, payload = self._receive()
            if kind is not Kind.OPENED:
                raise self._failure(kind, payload)
            self.duration_s = self._checked(unpack_duration, payload)
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> IsolatedReader:
        """Return the reader."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._close()

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames; raises DecodeError as `open_frames` says."""
        while True:
            kind, payload = self._receive()
            if kind is Kind.ENDED:
                return
            if kind is not Kind.FRAME:
                raise self._failure(kind, payload)
            notice = self._checked(FrameNotice.unpack, payload)
            try:
                frame = self._frame(notice)
            except MemoryError:
                size = f"{notice.width}x{notice.height} px"
                raise DecodeError("too_large", f"there is no memory for its frames of {size}") from None
            self._any_frame = True
            self._tell(Kind.FREE, pack_slot(notice.slot))
            yield frame

    def _frame(self, notice: FrameNotice) -> Frame:
        data = self._decoder.copy_bytes(notice)
        height, width = notice.height, notice.width
        if notice.kind is None:
            return RgbFrame(data.reshape(height, width, 3), notice.time_s)
        picture = PlanarPicture(notice.kind, planes_in(data, notice.kind.layout, height, width))
        return PlanarFrame(picture, notice.time_s, self._part_converter)

    def _receive(self) -> tuple[Kind, bytes]:
        """Return the decoder's next message, and count the wait."""
        begun_s = time.monotonic()
        left_s = self._limits.file_s - self._waited_s
        try:
            if left_s <= 0:
                # what has come by now may not hide that it came too late
                raise DecoderTimeoutError
            return self._decoder.receive(min(self._limits.frame_s, left_s))
        except DecoderTimeoutError:
            self._decoder.kill()
            if left_s < self._limits.frame_s:
                raise DecodeError(
                    "timed_out", f"decoding it takes longer than {self._limits.file_s:g} s"
                ) from None
            raise DecodeError(
                "timed_out", f"the decoder gave nothing for {self._limits.frame_s:g} s"
            ) from None
        except DecoderGoneError as end:
            raise self._broken(end) from None
        finally:
            self._waited_s += time.monotonic() - begun_s

    def _tell(self, kind: Kind, payload: bytes) -> None:
        try:
            self._decoder.send(kind, payload)
        except DecoderGoneError as end:
            raise self._broken(end) from None

    def _checked(self, unpack: Callable[[bytes], Said], payload: bytes) -> Said:
        try:
            return unpack(payload)
        except ProtocolError as error:
            raise self._broken(DecoderGoneError(f"it said what cannot be right ({error})")) from None

    def _failure(self, kind: Kind, payload: bytes) -> DecodeError:
        """Return the error that a message other than a frame stands for."""
        if kind is not Kind.FAILED:
            return self._broken(DecoderGoneError(f"it said {kind.name} out of turn"))
        failure = self._checked(Failure.unpack, payload)
        return DecodeError(failure.state, failure.reason)

    def _broken(self, end: DecoderGoneError) -> DecodeError:
        """Return the error of a file on which the decoder ended or can no longer be trusted."""
        self._decoder.kill()
        if end.signal_number == signal.SIGXCPU:
            cpu_s = self._limits.cpu_s
            return DecodeError("timed_out", f"one frame of it takes more than {cpu_s:g} s of processor time")
        state = "truncated" if self._any_frame else "undecodable"
        return DecodeError(state, f"the process that decoded it broke down: {end}")

    def _close(self) -> None:
        if self._open:
            self._open = False
            # the next file's reader may have it
            self._interrupt.watch(None)
            _pool.give_back(self._decoder)


def _name_elsewhere(path: str | os.PathLike[str]) -> Path:
    """Return a name that means the same file in another process, as /dev/stdin and /proc/self/fd/3 do not.

    Other names stay as they are: FFmpeg goes by endings, too, and what a link leads to may have none.

    Raises:
        DecodeError: `undecodable`, for a file that has none, such as one that was removed while it was open.
    """
    given = Path(path).absolute()
    if not _leads_through_a_process(given):
        return given
    name = Path(os.path.realpath(path))
    try:
        is_same = name.samefile(path)
    except OSError:
        is_same = False
    if not is_same:
        raise DecodeError(
            "undecodable",
            f"'{path}' has no name by which another process could open it: give a file with one",
        )
    return name


def _leads_through_a_process(path: Path) -> bool:
    """Tell whether a name, or a link that it is, names something of this process: below /dev or /proc."""
    for _ in range(_MOST_LINKS):
        path = Path(os.path.realpath(path.parent), path.name)
        if path.parts[1:2] in (("dev",), ("proc",)):
            return True
        if not path.is_symlink():
            return False
        path = path.parent / path.readlink()
    return False


def _part_converter() -> PartConverter:
    try:
        return PartConverter()
    except ImportError as error:
        raise IsolationError(
            f"PyAV, which makes the colours of frames, cannot be loaded by this Python ({error}): install it"
        ) from error


def _take_decoder() -> DecoderProcess:
    """Return a decoder for one file; raise DecodeError where it is that file's bad luck to get none."""
    try:
        return _pool.take()
    except DecoderGoneError as end:
        raise DecodeError(
            "undecodable", f"the process that was to decode it broke down at every start: {end}"
        ) from None


_pool = DecoderPool()
atexit.register(_pool.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.forget)
