"""Pictures are set upright as their file says: turned, mirrored, or both; whole and in parts."""

from __future__ import annotations

import gc
import struct

import av
import numpy as np
import pytest

from flowtell._decode import VideoReader


def picture(width, height):
    """A picture that looks like none of its mirror images: `uint8 [height, width, 3]`."""
    y, x = np.mgrid[:height, :width]
    return np.stack([40 + 150 * x // width, 40 + 150 * y // height, 90 + 0 * x], -1).astype(np.uint8)


def first_frame(path):
    with VideoReader(path) as reader:
        return next(iter(reader)).image


def track_matrix(a, b, c, d):
    """Return the matrix of a track header (ISO/IEC 14496-12, 8.3.2): a, b, u, c, d, v, x, y, w, big-endian.

    The pixel at (p, q) is shown at (a p + c q, b p + d q), right and down.
    """
    fixed = [int(value * 2**16) for value in (a, b, 0, c, d, 0, 0, 0)]
    return struct.pack(">9i", *fixed, 1 << 30)


UPRIGHT = track_matrix(1, 0, 0, 1)
ORIENTED = {
    "clockwise, as by a telephone held upright": ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
    "upside down": ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
    "counter-clockwise": ((0, -1, 1, 0), lambda image: np.rot90(image, 1)),
    "mirrored left to right, as by a front camera": ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
    "mirrored top to bottom": ((1, 0, 0, -1), lambda image: image[::-1]),
    "rows for columns": ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
    "rows for columns, from the other corner": (
        (0, -1, -1, 0),
        lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    ),
    "twice as large and a little askew": ((2, 0.2, -0.2, 2), lambda image: image),
    "nowhere": ((0, 0, 0, 0), lambda image: image),
    "on a line": ((0, 1, 0, 1), lambda image: image),
}


@pytest.mark.parametrize("said", ORIENTED)
@pytest.mark.parametrize("size", [(96, 64), (1024, 640)], ids=["whole", "in planes"])
def test_orientation_is_honoured(write_video, said, size):
    matrix, shown = ORIENTED[said]
    path = write_video("a.mp4", 2 * [picture(*size)], pix_fmt="yuv444p", options={"qp": "1"})
    upright = first_frame(path)
    data = path.read_bytes()
    header = data.index(b"tkhd")
    assert data.index(UPRIGHT, header) < header + 60
    path.write_bytes(data[:header] + data[header:].replace(UPRIGHT, track_matrix(*matrix), 1))
    oriented = first_frame(path)
    assert np.array_equal(oriented, shown(upright))
    assert oriented.flags.c_contiguous


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"], ids=["in planes", "whole"])
def test_pictures_that_were_looked_at_do_not_stay(write_video, pix_fmt):
    path = write_video("a.mp4", 60 * [picture(640, 480)], pix_fmt=pix_fmt)

    def pictures():
        return sum(isinstance(thing, av.VideoFrame) for thing in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = pictures()
        with VideoReader(path) as reader:
            assert sum(1 for _ in reader) == 60
        # the first one was looked at more closely
        assert pictures() <= before + 2
    finally:
        gc.enable()
