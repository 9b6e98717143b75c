"""Tells from a few bytes whether a file stops before its container says that it ends.

FFmpeg reads a file that was cut short to where it stops, and says nothing if that is between two packets.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

__all__ = ["missing_end"]

_TS_PACKET_BYTES = 188
_TS_SYNC = b"\x47"
_FLV_TAG_BYTES = 11
_FLV_TAGS = (8, 9, 18)
_SEGMENT_ID = b"\x18\x53\x80\x67"
_EBML_ID = b"\x1a\x45\xdf\xa3"
_MAX_BOXES = 100_000
_BOX_TYPES = frozenset(
    b"emsg free ftyp junk mdat meta mfra moof moov pict pnot prft sidx skip ssix styp udta uuid wide".split()
)
"""Of boxes that lie in no other, in ISO/IEC 14496-12 and 23009-1 and the QuickTime File Format."""
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_HEADER_BYTES = 1 << 16
_GIF_TAIL_BYTES = 4096


def _of_boxes(file: BinaryIO, size: int) -> str | None:
    """ISO/IEC 14496-12, 4.2: a box says its length; 1 for one of 64 bits, 0 for the rest of the file.

    What cameras and other programs append is none, whatever length its first bytes would be.
    """
    start = 0
    for _ in range(_MAX_BOXES):
        file.seek(start)
        header = file.read(16)
        if len(header) < 8:
            return None
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length < 8:
            return None
        start += length
        if start > size:
            if header[4:8] not in _BOX_TYPES:
                return None
            return _bytes_missing(start - size)
    return None


def _of_segment(file: BinaryIO, size: int) -> str | None:
    """RFC 8794: an element is an ID, a length, and so many bytes; a length of all ones says nothing."""
    if file.read(4) != _EBML_ID:
        return None
    header_bytes = _ebml_length(file)
    if header_bytes is None:
        return None
    file.seek(header_bytes, os.SEEK_CUR)
    if file.read(4) != _SEGMENT_ID:
        return None
    segment_bytes = _ebml_length(file)
    if segment_bytes is None or file.tell() + segment_bytes <= size:
        return None
    return _bytes_missing(file.tell() + segment_bytes - size)


def _ebml_length(file: BinaryIO) -> int | None:
    first = file.read(1)
    if not first or not first[0]:
        return None
    # the leading zeros of the first byte count the bytes that follow it
    width = 9 - first[0].bit_length()
    value = int.from_bytes(first + file.read(width - 1), "big") & ((1 << 7 * width) - 1)
    return None if value == (1 << 7 * width) - 1 else value


def _of_transport_packets(file: BinaryIO, size: int) -> str | None:
    """ISO/IEC 13818-1, 2.4.3: packets of 188 bytes that begin with 0x47."""
    beginnings = file.read(_TS_PACKET_BYTES + 1)[::_TS_PACKET_BYTES]
    rest = size % _TS_PACKET_BYTES
    if beginnings != 2 * _TS_SYNC or not rest:
        return None
    file.seek(size - rest)
    # what follows the last packet is part of one only if it begins like one
    return _bytes_missing(_TS_PACKET_BYTES - rest) if file.read(1) == _TS_SYNC else None


def _of_tags(file: BinaryIO, size: int) -> str | None:
    """Adobe FLV 10.1, E.3: each tag is followed by its length in 4 bytes, and a tag begins with its kind."""
    file.seek(max(0, size - 4))
    length = int.from_bytes(file.read(4), "big")
    start = size - 4 - length
    if start < 0 or length < _FLV_TAG_BYTES:
        return "its last tag is not whole"
    file.seek(start)
    tag = file.read(4)
    if tag[0] & 0x1F not in _FLV_TAGS or int.from_bytes(tag[1:], "big") != length - _FLV_TAG_BYTES:
        return "its last tag is not whole"
    return None


def _of_riff(file: BinaryIO, size: int) -> str | None:
    """AVI RIFF File Reference: the length of what follows; some programs count their own 8 bytes, too."""
    header = file.read(8)
    length = int.from_bytes(header[4:], "little")
    # all ones: it was not known when this was written
    is_stated = header[:4] == b"RIFF" and length != 0xFFFFFFFF
    return _bytes_missing(8 + length - size) if is_stated and length > size else None


def _of_properties(file: BinaryIO, size: int) -> str | None:
    """Advanced Systems Format 1.20, 3.2: the file's size, behind the object's length and the file's name."""
    place = (header := file.read(_ASF_HEADER_BYTES)).find(_ASF_PROPERTIES)
    if place < 0 or len(header) < place + 92:
        return None
    stated = int.from_bytes(header[place + 40 : place + 48], "little")
    # a broadcast's size was not known when this was written
    is_broadcast = header[place + 88] & 1
    return _bytes_missing(stated - size) if stated > size and not is_broadcast else None


def _of_trailer(file: BinaryIO, size: int) -> str | None:
    """GIF89a, 27: the last byte is 0x3b; some programs fill up with zeros behind it."""
    file.seek(max(0, size - _GIF_TAIL_BYTES))
    tail = file.read().rstrip(b"\0")
    return None if tail.endswith(b"\x3b") else "its trailer is missing"


def _bytes_missing(count: int) -> str:
    return f"{count} bytes are missing at its end"


_RULES: dict[str, Callable[[BinaryIO, int], str | None]] = {
    "asf": _of_properties,
    "avi": _of_riff,
    "flv": _of_tags,
    "gif": _of_trailer,
    "matroska": _of_segment,
    "mp4": _of_boxes,
    "mpegts": _of_transport_packets,
}


def missing_end(path: str | os.PathLike[str], container: str) -> str | None:
    """Return what is missing at the end of a file, in a few words; None where nothing is known to be.

    Args:
        path: the file.
        container: FFmpeg's names of its format, divided by commas.
    """
    rule = next((_RULES[name] for name in container.split(",") if name in _RULES), None)
    if rule is None:
        return None
    with Path(path).open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        return rule(file, size)
