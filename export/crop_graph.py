"""``crop.onnx``: one frame and one box to the square crop that the detector reads."""

from __future__ import annotations

import onnx
from onnx import TensorProto

from flowtell.export._graph_builder import GraphBuilder, frame_input, tensor
from flowtell.export._visible_part import visible_part

__all__ = ["crop_graph"]


def crop_graph(crop_size: int) -> onnx.ModelProto:
    """Build ``crop.onnx`` for crops of ``crop_size`` px.

    The graph takes ``frame`` (``uint8 [H, W, 3]``, RGB) and ``box`` (``int64 [4]``: x, y, width, height in
    px, width and height at least 1). The box may reach outside the frame, or lie outside it altogether: the
    frame's edge pixels go on for ever. It gives ``crop`` (``uint8 [S, S, 3]``): shrunk with an antialiasing
    triangle filter, enlarged bilinearly, rounded half up.

    Args:
        crop_size: S, a positive multiple of 64.

    Raises:
        ValueError: ``crop_size`` is not a positive multiple of 64.
    """
    if crop_size <= 0 or crop_size % 64:
        raise ValueError(f"the crop size must be a positive multiple of 64, not {crop_size}")
    b = GraphBuilder("crop")
    part = visible_part(b)
    whole_axes = b.constant([0, 0])
    pads = b.node("Concat", whole_axes, part.before, whole_axes, part.after, axis=0)
    planes = b.node("Unsqueeze", b.node("Transpose", part.pixels, perm=[2, 0, 1]), b.constant([0]))
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
    levels = b.node(
        "Cast", b.node("Squeeze", b.round_half_up(resized), b.constant([0])), to=TensorProto.UINT8
    )
    b.node("Transpose", levels, perm=[1, 2, 0], outputs=["crop"])
    return b.model(
        [frame_input(), tensor("box", TensorProto.INT64, [4])],
        [tensor("crop", TensorProto.UINT8, [crop_size, crop_size, 3])],
    )
