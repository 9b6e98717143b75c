"""Videos whose headers lie: about sizes, counts, lengths and places. Boxes are those of ISO/IEC 14496-12."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

Edit = Callable[[bytearray], None]


def write_lies(folder: Path, mp4: Path) -> list[Path]:
    """Write `mp4` once for each lie; return the files."""
    folder.mkdir(parents=True)
    whole = mp4.read_bytes()
    paths = []
    for name, edit in _LIES.items():
        data = bytearray(whole)
        edit(data)
        assert data != whole, name
        path = folder / f"{name}.mp4"
        path.write_bytes(data)
        paths.append(path)
    for name, data in _whole_files(whole).items():
        path = folder / f"{name}.mp4"
        path.write_bytes(data)
        paths.append(path)
    return paths


def _put(box: bytes, offset: int, layout: str, *values: int) -> Edit:
    """Return an edit that writes numbers so far behind a box's name."""

    def edit(data: bytearray) -> None:
        struct.pack_into(layout, data, data.index(box) + 4 + offset, *values)

    return edit


def _put_length(box: bytes, length: int) -> Edit:
    return lambda data: struct.pack_into(">I", data, data.index(box) - 4, length)


def _rename(box: bytes, name: bytes) -> Edit:
    def edit(data: bytearray) -> None:
        place = data.index(box)
        data[place : place + 4] = name

    return edit


def _together(*edits: Edit) -> Edit:
    def edit(data: bytearray) -> None:
        for each in edits:
            each(data)

    return edit


_EIGHT_HOURS_S = 8 * 3600
_LIES: dict[str, Edit] = {
    # 8.2.2: version, flags, creation, modification, timescale, duration
    "eight-hours": _together(
        _put(b"mvhd", 12, ">II", 1000, 1000 * _EIGHT_HOURS_S),
        _put(b"mdhd", 12, ">II", 12800, 12800 * _EIGHT_HOURS_S),
    ),
    "eight-hours-of-file": _put(b"mvhd", 12, ">II", 1000, 1000 * _EIGHT_HOURS_S),
    "no-timescale": _put(b"mdhd", 12, ">I", 0),
    "largest-timescale": _put(b"mdhd", 12, ">I", 0xFFFFFFFF),
    "negative-duration": _put(b"mdhd", 16, ">I", 0x80000001),
    # 8.5.2: 6 reserved, index, 16 more, width, height; the codec's own name stands before
    "16k-square": _put(b"avc1", 24, ">HH", 16384, 16384),
    "65535-wide": _put(b"avc1", 24, ">HH", 65535, 1),
    "no-size": _put(b"avc1", 24, ">HH", 0, 0),
    "8k-said": _put(b"avc1", 24, ">HH", 8192, 4320),
    "no-codec-settings": _rename(b"avcC", b"free"),
    "long-codec-settings": _put_length(b"avcC", 0x7FFFFFFF),
    "other-codec": _rename(b"avc1", b"hvc1"),
    "picture-codec": _rename(b"avc1", b"png "),
    "raw-codec": _rename(b"avc1", b"raw "),
    "encrypted": _rename(b"avc1", b"encv"),
    # tables: version, flags, count, entries
    "many-durations": _put(b"stts", 4, ">III", 1, 0x7FFFFFFF, 512),
    "many-duration-entries": _put(b"stts", 4, ">I", 0x0FFFFFFF),
    "no-durations": _put(b"stts", 4, ">I", 0),
    "huge-durations": _put(b"stts", 8, ">II", 40, 0xFFFFFFFF),
    "samples-of-one-size": _put(b"stsz", 4, ">II", 1, 0x7FFFFFFF),
    "samples-of-one-large-size": _put(b"stsz", 4, ">II", 0x7FFFFFFF, 0x7FFFFFFF),
    "many-samples": _put(b"stsz", 4, ">II", 0, 0xFFFFFFFF),
    "no-samples": _put(b"stsz", 4, ">II", 0, 0),
    "first-sample-huge": _put(b"stsz", 12, ">I", 0x7FFFFFFF),
    "first-sample-empty": _put(b"stsz", 12, ">I", 0),
    "chunk-beyond-the-end": _put(b"stco", 8, ">I", 0xFFFFFFF0),
    "chunk-at-the-start": _put(b"stco", 8, ">I", 0),
    "many-chunks": _put(b"stco", 4, ">I", 0x3FFFFFFF),
    "chunks-without-samples": _put(b"stsc", 8, ">III", 1, 0, 1),
    "chunks-of-many-samples": _put(b"stsc", 8, ">III", 1, 0x7FFFFFFF, 1),
    "many-key-frames": _put(b"stss", 4, ">I", 0x3FFFFFFF),
    "edit-before-the-start": _put(b"elst", 8, ">Ii", 1000, -(1 << 31)),
    "edit-of-no-length": _put(b"elst", 8, ">II", 0, 0),
    "edit-at-no-rate": _put(b"elst", 16, ">I", 0),
    "sound-it-says": _put(b"hdlr", 8, "4s", b"soun"),  # type: ignore[arg-type]
    "no-index": _rename(b"moov", b"free"),
    "index-of-no-length": _put_length(b"moov", 8),
    "index-to-the-end": _put_length(b"moov", 0),
    "index-of-64-bits": _put_length(b"moov", 1),
    "index-beyond-the-end": _put_length(b"moov", 0x7FFFFFFF),
    "track-of-seven-bytes": _put_length(b"trak", 7),
    "track-in-itself": _put_length(b"mdia", 0),
    "data-of-no-length": _put_length(b"mdat", 8),
}


def _box(name: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), name) + body


def _full_box(name: bytes, *content: bytes) -> bytes:
    return _box(name, bytes(4), *content)


def _nested(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = _box(b"moov", data)
    return data


def _whole_files(whole: bytes) -> dict[str, bytes]:
    """Return files that are not one edit away from a good one."""
    ftyp = _box(b"ftyp", b"isom", bytes(4), b"isom")
    sizes = whole.index(b"stsz") - 4
    # a fragment (8.8.8) of as many samples as its 32 bits can say, none of them described
    run = _box(b"trun", struct.pack(">III", 0, 0x0FFFFFFF, 0)[:8])
    header = _box(b"tfhd", struct.pack(">II", 0x020000, 1))
    fragment = _box(b"moof", _full_box(b"mfhd", bytes(4)), _box(b"traf", header, run))
    table = struct.pack(">II", 0, 2_000_000) + bytes(8_000_000)
    return {
        "boxes-in-boxes": ftyp + _nested(2_000),
        "boxes-without-end": ftyp + _box(b"free") * 100_000,
        "index-ten-times": ftyp + whole[whole.index(b"moov") - 4 :] * 10,
        "fragment-of-many": whole + fragment,
        "fragments-of-nothing": whole + _box(b"moof", _full_box(b"mfhd", bytes(4))) * 20_000,
        "real-table-of-millions": whole[:sizes]
        + _full_box(b"stsz", table)
        + whole[sizes + int.from_bytes(whole[sizes : sizes + 4], "big") :],
        "two-in-a-row": whole + whole,
        "padded": whole + bytes(1 << 20),
        "brand-alone": ftyp,
    }
