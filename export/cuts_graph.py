"""``cuts.onnx``: one frame and one box to the signature that tells where a shot ends."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from flowtell.export._graph_builder import GraphBuilder, frame_input, tensor
from flowtell.export._visible_part import VisiblePart, visible_part

__all__ = ["SIGNATURE_SIDE", "cuts_graph"]

SIGNATURE_SIDE = 8
_TILE_SAMPLES = 8
"""Of a tile's rows and columns at least so many are looked at: 64 samples a colour."""
_BEYOND_PX = float(1 << 30)
"""Further from a box's corner than any frame is large."""


def cuts_graph() -> onnx.ModelProto:
    """Build ``cuts.onnx``.

    The graph takes ``frame`` and ``box`` as ``crop.onnx`` does, and gives ``signature``, ``uint8 [8, 8, 3]``:
    the mean of each of 8x8 tiles of the box, rounded half up. Hosts compare it between frames to find shot
    cuts. Of a large box the middle one of every n rows and columns stands for them, as many as leave 64 to
    a side, so that a face is followed at little cost through frames of which no crop will be needed.
    """
    b = GraphBuilder("cuts")
    part = visible_part(b)
    samples = b.constant([SIGNATURE_SIDE * _TILE_SAMPLES])
    step = b.node("Max", b.node("Div", part.extent, samples), b.constant([1]))
    middle = b.node("Min", b.node("Div", step, b.constant([2])), b.node("Sub", part.size, b.constant([1])))
    seen = b.node("Slice", part.pixels, middle, part.size, b.constant([0, 1]), step)
    rows, columns = (_tile_weights(b, part, seen, step, axis) for axis in (0, 1))
    levels = b.node("Cast", seen, to=TensorProto.FLOAT)
    # the rows of a tile in one matrix product, then its columns in another
    flat = b.node("Reshape", levels, b.node("Concat", b.size(seen, 0), b.constant([-1]), axis=0))
    by_row = b.node("MatMul", rows, flat)
    split = b.node("Concat", b.constant([SIGNATURE_SIDE]), b.size(seen, 1), b.constant([3]), axis=0)
    means = b.node("MatMul", columns, b.node("Reshape", by_row, split))
    b.node("Cast", b.round_half_up(means), to=TensorProto.UINT8, outputs=["signature"])
    return b.model(
        [frame_input(), tensor("box", TensorProto.INT64, [4])],
        [tensor("signature", TensorProto.UINT8, [SIGNATURE_SIDE, SIGNATURE_SIDE, 3])],
    )


def _tile_weights(b: GraphBuilder, part: VisiblePart, seen: str, step: str, axis: int) -> str:
    """Return ``float32 [8, n]``: the share that each of n rows or columns that are seen has in a tile's mean.

    The first and the last of them go on for ever, as the frame's edge does.
    """
    zero, one, pick = b.constant(0), b.constant(1), b.constant(axis)
    count = b.node("Squeeze", b.size(seen, axis))
    index = b.node("Range", zero, count, one)
    width = b.node("Gather", step, pick)
    offset = b.node("Add", b.node("Mul", index, width), b.node("Gather", part.start, pick))
    begin = b.node("Cast", offset, to=TensorProto.FLOAT)
    end = b.node("Add", begin, b.node("Cast", width, to=TensorProto.FLOAT))
    begin = b.node("Where", b.node("Equal", index, zero), b.constant(-_BEYOND_PX, np.float32), begin)
    is_last = b.node("Equal", index, b.node("Sub", count, one))
    end = b.node("Where", is_last, b.constant(_BEYOND_PX, np.float32), end)

    extent = b.node("Cast", b.node("Gather", part.extent, pick), to=TensorProto.FLOAT)
    tile = b.node("Div", extent, b.constant(float(SIGNATURE_SIDE), np.float32))
    numbers = np.arange(SIGNATURE_SIDE, dtype=np.float32)[:, None]
    tile_begin = b.node("Mul", b.constant(numbers, np.float32), tile)
    tile_end = b.node("Mul", b.constant(numbers + 1, np.float32), tile)

    overlap = b.node("Sub", b.node("Min", tile_end, end), b.node("Max", tile_begin, begin))
    return b.node("Div", b.node("Max", overlap, b.constant(0.0, np.float32)), tile)
