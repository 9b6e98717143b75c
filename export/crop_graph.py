"""``crop.onnx``: one frame and one box to the square crop that the detector reads."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from flowtell.export._graph_builder import GraphBuilder, frame_input, tensor

SIGNATURE_SIDE = 8


def crop_graph(crop_size: int) -> onnx.ModelProto:
    """Build ``crop.onnx`` for crops of ``crop_size`` px.

    The graph takes ``frame`` (``uint8 [H, W, 3]``, RGB) and ``box`` (``int64 [4]``: x, y, width, height in
    px, width and height at least 1). The box may reach outside the frame, or lie outside it altogether: the
    frame's edge pixels go on for ever. It gives ``crop`` (``uint8 [S, S, 3]``; shrunk with an antialiasing
    triangle filter, enlarged bilinearly, rounded half up) and ``signature`` (``uint8 [8, 8, 3]``: the mean of
    each of 8x8 tiles of the crop, rounded half up), which hosts compare between frames to find shot cuts.

    Args:
        crop_size: S, a positive multiple of 64.

    Raises:
        ValueError: ``crop_size`` is not a positive multiple of 64.
    """
    if crop_size <= 0 or crop_size % 64:
        raise ValueError(f"the crop size must be a positive multiple of 64, not {crop_size}")
    b = GraphBuilder("crop")
    inside, pads = _visible_part(b)
    planes = b.node("Unsqueeze", b.node("Transpose", inside, perm=[2, 0, 1]), b.constant([0]))
    padded = b.node("Pad", b.node("Cast", planes, to=TensorProto.FLOAT), pads, mode="edge")
    resized = b.node(
        "Resize",
        padded,
        "",
        "",
        b.constant([1, 3, crop_size, crop_size]),
        mode="linear",
        antialias=1,
        exclude_outside=1,
    )
    crop = _round_half_up(b, resized)
    tile = crop_size // SIGNATURE_SIDE
    means = b.node("AveragePool", crop, kernel_shape=[tile, tile], strides=[tile, tile])
    _to_bytes(b, crop, "crop")
    _to_bytes(b, _round_half_up(b, means), "signature")
    return b.model(
        [frame_input(), tensor("box", TensorProto.INT64, [4])],
        [
            tensor("crop", TensorProto.UINT8, [crop_size, crop_size, 3]),
            tensor("signature", TensorProto.UINT8, [SIGNATURE_SIDE, SIGNATURE_SIDE, 3]),
        ],
    )


def _visible_part(b: GraphBuilder) -> tuple[str, str]:
    """Cut the part of the box that lies in the frame and say what is missing around it.

    At least one row and one column are kept, the nearest to the box, so that there is an edge to repeat.
    Returns the part (``uint8 [h, w, 3]``) and the ``int64 [8]`` pads of the ``[1, 3, h, w]`` picture.
    """
    one, zero = b.constant([1]), b.constant([0])
    size = b.node("Slice", b.node("Shape", "frame"), zero, b.constant([2]))  # H, W
    corner = b.node("Gather", "box", b.constant([1, 0]))  # y, x
    extent = b.node("Gather", "box", b.constant([3, 2]))  # height, width
    last = b.node("Sub", size, one)
    start = b.node("Min", b.node("Max", corner, zero), last)
    end = b.node("Min", b.node("Add", corner, extent), size)
    end = b.node("Max", end, b.node("Add", start, one))
    inside = b.node("Slice", "frame", start, end, b.constant([0, 1]))
    missing = b.node("Sub", extent, b.node("Sub", end, start))
    before = b.node("Min", b.node("Max", b.node("Sub", start, corner), zero), missing)
    after = b.node("Sub", missing, before)
    whole_axes = b.constant([0, 0])
    return inside, b.node("Concat", whole_axes, before, whole_axes, after, axis=0)


def _round_half_up(b: GraphBuilder, value: str) -> str:
    """Round to whole levels; ONNX's own Round goes half to even, which no integer host would guess."""
    return b.node("Floor", b.node("Add", value, b.constant(0.5, np.float32)))


def _to_bytes(b: GraphBuilder, planes: str, output: str) -> None:
    """Give ``float32 [1, 3, h, w]`` whole levels out as ``uint8 [h, w, 3]``."""
    levels = b.node("Cast", b.node("Squeeze", planes, b.constant([0])), to=TensorProto.UINT8)
    b.node("Transpose", levels, perm=[1, 2, 0], outputs=[output])
