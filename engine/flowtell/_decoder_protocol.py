"""What the decoder and its caller say to each other: short messages, and a ring of frames beside them.

A message is `kind: uint8, length: uint32, payload`, little endian. A file is one conversation::

    caller                                   decoder
                                             READY   version of Landlock, once
    OPEN    limits, path           ->
                                   <-        OPENED  duration          or FAILED
                                   <-        FRAME   slot, size, time, kind of its pixels
                                                     (as often as there is a free slot)
    FREE    slot                   ->
                                   <-        ENDED                     or FAILED
    CLOSE   (at any time)          ->
                                   <-        CLOSED  every slot is free again

The decoder reads files that may take it over, so nothing that it says is believed: whoever reads its messages
checks kinds, lengths, sizes, slots and numbers here, and nothing is ever unpickled.
"""

from __future__ import annotations

import enum
import math
import mmap
import struct
from dataclasses import dataclass
from typing import Any

from ._colour import LAYOUTS
from ._decode import MAX_FRAME_PX, MAX_SIDE_PX
from ._planes import MATRICES, MOST_LEVELS, PixelKind, plane_shapes
from ._siting import SITINGS
from ._upright import ORIENTATIONS

__all__ = [
    "MAX_PAYLOAD_BYTES",
    "MAX_REASON_BYTES",
    "READY_WORDS",
    "RING_BYTES",
    "SLOTS",
    "SLOT_BYTES",
    "Failure",
    "FrameNotice",
    "Kind",
    "MessageBuffer",
    "OpenRequest",
    "ProtocolError",
    "pack",
    "pack_duration",
    "pack_slot",
    "slots_for",
    "unpack_duration",
    "unpack_slot",
]

READY_WORDS = b"flowtell decoder 2"
"""What a decoder says first; its number changes with anything on this page."""

MAX_PAYLOAD_BYTES = 8192
"""The longest message is a path: 4096 bytes on Linux (PATH_MAX), and its limits."""

MAX_REASON_BYTES = 1000
MAX_TIME_S = 1e12
"""How far from 0 times may lie, and what a file may last: beyond any clock, and sums of them stay numbers."""

SLOTS = 8
_RGB = 3
SLOT_BYTES = -(-MAX_FRAME_PX * _RGB // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY
"""Slots are as far apart as the largest frame is long. Memory that no frame touches is never allocated."""

RING_BYTES = SLOTS * SLOT_BYTES
_AHEAD_BYTES = 32 << 20
"""The decoder works ahead by so many bytes of frames, five of 1080p in RGB, and by 2 to 8 frames."""

STATES = ("undecodable", "truncated", "too_large")
_HEADER = struct.Struct("<BI")
_OPEN = struct.Struct("<dQ")
_OPENED = struct.Struct("<d")
_FRAME = struct.Struct("<IIIdBBBBB")
_RGB_LAYOUT = 0
_LAYOUT_NAMES = tuple(LAYOUTS)
_SLOT = struct.Struct("<I")


class ProtocolError(Exception):
    """A message that cannot be right; whoever sent it is not to be trusted further."""


class Kind(enum.IntEnum):
    """What a message says."""

    READY = 1
    OPEN = 2
    OPENED = 3
    FRAME = 4
    FREE = 5
    ENDED = 6
    FAILED = 7
    CLOSE = 8
    CLOSED = 9


@dataclass(frozen=True)
class OpenRequest:
    """A file to decode: its path, and the limits that the decoder sets itself."""

    path: bytes
    cpu_s: float
    memory_bytes: int

    def pack(self) -> bytes:
        """Return the payload of OPEN."""
        return _OPEN.pack(self.cpu_s, self.memory_bytes) + self.path

    @classmethod
    def unpack(cls, payload: bytes) -> OpenRequest:
        """Return what a payload of OPEN says."""
        cpu_s, memory_bytes = _OPEN.unpack_from(payload)
        return cls(payload[_OPEN.size :], cpu_s, memory_bytes)


@dataclass(frozen=True)
class FrameNotice:
    """A frame that lies in a slot of the ring: RGB, `uint8 [height, width, 3]`, or planes in a row.

    `height` and `width` are those of its memory; without a `kind` it is RGB and upright.
    """

    slot: int
    height: int
    width: int
    time_s: float
    kind: PixelKind | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that it takes in its slot."""
        if self.kind is None:
            return self.height * self.width * _RGB
        shapes = plane_shapes(self.kind.layout, self.height, self.width)
        return sum(height * width for height, width in shapes)

    def pack(self) -> bytes:
        """Return the payload of FRAME."""
        numbers = (_RGB_LAYOUT, 0, 0, 0, 0)
        if self.kind is not None:
            layout, siting = _LAYOUT_NAMES.index(self.kind.layout), SITINGS.index(self.kind.siting)
            numbers = (1 + layout, self.kind.matrix, self.kind.levels, siting, self.kind.orientation)
        return _FRAME.pack(self.slot, self.height, self.width, self.time_s, *numbers)

    @classmethod
    def unpack(cls, payload: bytes) -> FrameNotice:
        """Return what a payload of FRAME says.

        Raises:
            ProtocolError: for a slot that is none, a size beyond the limits or that no planes have, a time
                that is no number, or pixels of an unknown kind.
        """
        slot, height, width, time_s, layout, matrix, levels, siting, orientation = _unpacked(_FRAME, payload)
        if layout > len(LAYOUTS) or siting >= len(SITINGS) or orientation >= ORIENTATIONS:
            raise ProtocolError(f"pixels of layout {layout}, siting {siting}, orientation {orientation}")
        if matrix not in MATRICES or levels > MOST_LEVELS:
            raise ProtocolError(f"pixels of matrix {matrix} and levels {levels}")
        kind = None
        if layout != _RGB_LAYOUT:
            kind = PixelKind(_LAYOUT_NAMES[layout - 1], matrix, levels, SITINGS[siting], orientation)
            if height % 2 or width % 2:
                raise ProtocolError(f"planes of {width}x{height} px")
        notice = cls(slot, height, width, time_s, kind)
        within = 0 < notice.width <= MAX_SIDE_PX and 0 < notice.height <= MAX_SIDE_PX
        if not within or notice.width * notice.height > MAX_FRAME_PX:
            raise ProtocolError(f"a frame of {notice.width}x{notice.height} px")
        if notice.slot >= SLOTS:
            raise ProtocolError(f"slot {notice.slot} of {SLOTS}")
        if not abs(notice.time_s) <= MAX_TIME_S:
            raise ProtocolError(f"a frame at {notice.time_s} s")
        return notice


@dataclass(frozen=True)
class Failure:
    """Why a file could not be read, or not to its end."""

    state: str
    reason: str

    def pack(self) -> bytes:
        """Return the payload of FAILED."""
        words = self.reason.encode("utf-8", "replace")[:MAX_REASON_BYTES]
        return bytes([STATES.index(self.state)]) + words

    @classmethod
    def unpack(cls, payload: bytes) -> Failure:
        """Return what a payload of FAILED says, its reason made fit to be printed on one line.

        Raises:
            ProtocolError: for an unknown state or a reason that is empty or too long.
        """
        if not 1 < len(payload) <= 1 + MAX_REASON_BYTES or payload[0] >= len(STATES):
            raise ProtocolError("a failure without state or reason")
        words = payload[1:].decode("utf-8", "replace")
        # what FFmpeg says may quote the file, and a terminal obeys control characters
        return cls(STATES[payload[0]], "".join(c if c.isprintable() else "?" for c in words))


class MessageBuffer:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        """Add bytes that have come."""
        self._data += data

    def next(self) -> tuple[Kind, bytes] | None:
        """Return the next whole message; None where more bytes are needed.

        Raises:
            ProtocolError: for an unknown kind, or a payload longer than any message has.
        """
        if len(self._data) < _HEADER.size:
            return None
        number, length = _HEADER.unpack_from(self._data)
        if number not in Kind.__members__.values() or length > MAX_PAYLOAD_BYTES:
            raise ProtocolError(f"a message of kind {number} and {length} bytes")
        end = _HEADER.size + length
        if len(self._data) < end:
            return None
        payload = bytes(self._data[_HEADER.size : end])
        del self._data[:end]
        return Kind(number), payload


def pack(kind: Kind, payload: bytes = b"") -> bytes:
    """Return a whole message."""
    return _HEADER.pack(kind, len(payload)) + payload


def pack_duration(duration_s: float | None) -> bytes:
    """Return the payload of OPENED; NaN stands for a file that does not say how long it is."""
    return _OPENED.pack(math.nan if duration_s is None else duration_s)


def unpack_duration(payload: bytes) -> float | None:
    """Return what a payload of OPENED says, in seconds; None for what is no sane duration."""
    (duration_s,) = _unpacked(_OPENED, payload)
    return duration_s if 0 < duration_s <= MAX_TIME_S else None


def pack_slot(slot: int) -> bytes:
    """Return the payload of FREE."""
    return _SLOT.pack(slot)


def unpack_slot(payload: bytes) -> int:
    """Return the slot that a payload of FREE names."""
    return int(_unpacked(_SLOT, payload)[0])


def slots_for(frame_bytes: int) -> int:
    """Return how many slots frames of this size may fill: how far the decoder works ahead."""
    return max(2, min(SLOTS, _AHEAD_BYTES // frame_bytes))


def _unpacked(layout: struct.Struct, payload: bytes) -> tuple[Any, ...]:
    if len(payload) != layout.size:
        raise ProtocolError(f"{len(payload)} bytes where {layout.size} belong")
    return layout.unpack(payload)
