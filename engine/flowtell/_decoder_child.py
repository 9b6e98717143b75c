"""The process that decodes videos for flowtell: a file that crashes or hangs it harms nothing else.

Started by `_decoder_process`, never by hand. It gives up what it does not need before it reads a file, and
ends when its caller does.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import queue
import resource
import signal
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ._decode import VideoReader
from ._decoder_protocol import (
    MAX_PAYLOAD_BYTES,
    READY_WORDS,
    RING_BYTES,
    SLOT_BYTES,
    SLOTS,
    Failure,
    FrameNotice,
    Kind,
    MessageBuffer,
    OpenRequest,
    pack,
    pack_duration,
    slots_for,
    unpack_slot,
)
from ._errors import DecodeError
from ._frame import Frame, PlanarFrame
from ._landlock import give_up_rights
from ._planes import planes_in

__all__ = ["main"]

_OPEN_FILES = 16
"""The socket, the ring, the video, and what the system's libraries open for a moment."""


class _CancelledError(Exception):
    """The caller has closed the file."""


class _FreeSlots:
    """The slots that may be written to, shared by the thread that decodes and the one that listens."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._free = set(range(SLOTS))
        self._cancelled = False

    def reset(self) -> None:
        """Make every slot free for the next file."""
        with self._changed:
            self._free = set(range(SLOTS))
            self._cancelled = False

    def give_back(self, slot: int) -> None:
        """Make one slot free."""
        with self._changed:
            self._free.add(slot)
            self._changed.notify()

    def cancel(self) -> None:
        """End the file: whoever waits for a slot gets none."""
        with self._changed:
            self._cancelled = True
            self._changed.notify()

    def take(self, frame_bytes: int) -> int:
        """Return a slot for a frame once one is free; raise _CancelledError where nobody wants it."""
        usable = slots_for(frame_bytes)
        with self._changed:
            while not self._cancelled:
                if SLOTS - len(self._free) < usable:
                    return self._free.pop()
                self._changed.wait()
        raise _CancelledError


class _Decoder:
    def __init__(self, connection: socket.socket, ring: mmap.mmap) -> None:
        self._connection = connection
        self._ring = ring
        self._slots = _FreeSlots()
        self._requests: queue.SimpleQueue[OpenRequest | None] = queue.SimpleQueue()
        self._at_rest_bytes = 0
        self._latest_slot = 0

    def serve(self, landlock: int) -> None:
        """Decode one file after the other, until the caller is gone."""
        self._at_rest_bytes = _address_space_bytes()
        self._send(Kind.READY, READY_WORDS + bytes([landlock]))
        while True:
            request = self._requests.get()
            if request is not None:
                self._decode(request)
                continue
            # the caller has closed the file
            if hasattr(mmap, "MADV_REMOVE"):
                self._ring.madvise(mmap.MADV_REMOVE)
            self._slots.reset()
            self._send(Kind.CLOSED)

    def listen(self) -> None:
        """Take what the caller says; end the process with the connection, even in the middle of a frame."""
        buffer = MessageBuffer()
        try:
            while data := self._connection.recv(MAX_PAYLOAD_BYTES):
                buffer.feed(data)
                while message := buffer.next():
                    self._obey(*message)
        finally:
            os._exit(0)

    def _obey(self, kind: Kind, payload: bytes) -> None:
        if kind is Kind.FREE:
            self._slots.give_back(unpack_slot(payload))
        elif kind is Kind.OPEN:
            self._requests.put(OpenRequest.unpack(payload))
        elif kind is Kind.CLOSE:
            self._slots.cancel()
            self._requests.put(None)

    def _decode(self, request: OpenRequest) -> None:
        allowance = _CpuAllowance(request.cpu_s)
        _limit(resource.RLIMIT_AS, self._at_rest_bytes + request.memory_bytes)
        try:
            with VideoReader(os.fsdecode(request.path), self._place) as reader:
                self._send(Kind.OPENED, pack_duration(reader.duration_s))
                for frame in reader:
                    self._send(Kind.FRAME, self._stored(frame).pack())
                    allowance.renew()
            self._send(Kind.ENDED)
        except _CancelledError:
            return
        except DecodeError as error:
            self._send(Kind.FAILED, Failure(error.state, str(error)).pack())

    def _stored(self, frame: Frame) -> FrameNotice:
        """Return the notice of a frame, once it lies in a slot; one in RGB has been written there."""
        if not isinstance(frame, PlanarFrame):
            return FrameNotice(self._latest_slot, frame.height, frame.width, frame.time_s)
        picture = frame.picture
        height, width = picture.planes[0].shape
        memory = self._take(picture.nbytes)
        for target, plane in zip(
            planes_in(memory, picture.kind.layout, height, width), picture.planes, strict=True
        ):
            target[...] = plane
        return FrameNotice(self._latest_slot, height, width, frame.time_s, picture.kind)

    def _place(self, height: int, width: int) -> NDArray[np.uint8]:
        """Return the memory of a free slot, once there is one, as an image of this size."""
        return self._take(3 * height * width).reshape(height, width, 3)

    def _take(self, nbytes: int) -> NDArray[np.uint8]:
        """Return so many bytes of a free slot, once there is one."""
        self._latest_slot = self._slots.take(nbytes)
        return np.frombuffer(self._ring, np.uint8, nbytes, self._latest_slot * SLOT_BYTES)

    def _send(self, kind: Kind, payload: bytes = b"") -> None:
        self._connection.sendall(pack(kind, payload))


class _CpuAllowance:
    """Processor time until the next frame; the kernel ends a process that has used it up (SIGXCPU)."""

    def __init__(self, cpu_s: float) -> None:
        self._cpu_s = cpu_s
        self._renewed_s = -math.inf
        self.renew()

    def renew(self) -> None:
        """Count from now on."""
        used_s = time.process_time()
        # the kernel counts whole seconds: asking it more often than that tells it nothing
        if used_s - self._renewed_s >= 1:
            self._renewed_s = used_s
            _limit(resource.RLIMIT_CPU, math.ceil(used_s + self._cpu_s))


def _limit(kind: int, soft: int) -> None:
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    resource.setrlimit(kind, (soft, hard))


def _address_space_bytes() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    return int(pages) * mmap.PAGESIZE


def _limit_process() -> None:
    """Leave no core file, write to no file, and start no process."""
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_NPROC, 0),
    ):
        resource.setrlimit(kind, (most, most))


def main(argv: Sequence[str]) -> None:
    """Serve the caller at the other end of socket `argv[0]`, through the ring `argv[1]`, both numbers."""
    # Ctrl-C is for the caller, who then closes the connection
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = socket.socket(fileno=int(argv[0]))
    ring = mmap.mmap(int(argv[1]), RING_BYTES)
    # what is imported later would be an open file more, and a surprise
    import av  # noqa: F401

    with contextlib.suppress(OSError):
        # when memory is short, this process is to go first
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    landlock = give_up_rights()
    decoder = _Decoder(connection, ring)
    threading.Thread(target=decoder.listen, daemon=True).start()
    _limit_process()
    decoder.serve(landlock)
