"""``faces.onnx``: one frame of any size to the candidate boxes of its faces, in pixels of that frame."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from flowtell.export._graph_builder import GraphBuilder, frame_input, tensor
from flowtell.export._yunet import STRIDES_PX, append_yunet

# Longest side of the picture that YuNet sees. Measured on one core: 53 of 54 faces of 64 px are found in a
# frame of 1080p (480: 52, 320: 27) and 26 of 54 in one of 2160p (480: 10, 320: 0), in 11 ms either way (480:
# 8, 320: 3); all of the usual, larger faces are found at each bound.
LONGEST_SIDE_PX = 640
# A much larger frame is first thinned to every k-th pixel, k chosen so that at least this factor is left to
# the antialiased resize (2160p: 51 ms without).
_LEFT_TO_RESIZE = 1.5


def faces_graph(score_threshold: float) -> onnx.ModelProto:
    """Build ``faces.onnx``.

    The graph takes ``frame`` (``uint8 [H, W, 3]``, RGB) and gives ``boxes`` (``float32 [N, 4]``: x and y of
    the top left corner, width, height, in px of the frame, possibly reaching outside it) and ``scores``
    (``float32 [N]``, ``sqrt(cls * obj)``) of all N anchors that score at least ``score_threshold``, finest
    stride first, row by row. Several anchors fire on one face: merging them is the host's work.

    Args:
        score_threshold: lowest score that is given out, above 0 and below 1.

    Raises:
        ValueError: the threshold is not between 0 and 1.
    """
    if not 0.0 < score_threshold < 1.0:
        raise ValueError(f"the face score threshold must lie between 0 and 1, not {score_threshold}")
    b = GraphBuilder("faces")
    image, px_per_pixel = _bounded_picture(b)
    boxes, scores = [], []
    for stride_px, maps in zip(STRIDES_PX, append_yunet(b, image), strict=True):
        level_boxes, level_scores = _decode(b, stride_px, maps)
        boxes.append(level_boxes)
        scores.append(level_scores)
    all_boxes = b.node("Concat", *boxes, axis=0)
    all_scores = b.node("Concat", *scores, axis=0)
    keep = b.node("GreaterOrEqual", all_scores, b.constant(score_threshold, np.float32))
    indices = b.node("Squeeze", b.node("NonZero", keep), b.constant([0]))
    kept = b.node("Gather", all_boxes, indices, axis=0)
    b.node("Mul", kept, px_per_pixel, outputs=["boxes"])
    b.node("Gather", all_scores, indices, axis=0, outputs=["scores"])
    return b.model(
        [frame_input()],
        [tensor("boxes", TensorProto.FLOAT, ["N", 4]), tensor("scores", TensorProto.FLOAT, ["N"])],
    )


def _bounded_picture(b: GraphBuilder) -> tuple[str, str]:
    """Shrink the frame to the bound, never enlarge it, and pad it below and at the right to multiples of 32.

    Returns the picture (``float32 [1, 3, h, w]``, BGR) and the ``float32 [4]`` factors (x, y, x, y) that lead
    from its pixels to the frame's.
    """
    zero, one = b.constant([0]), b.constant([1])
    size = b.node("Slice", b.node("Shape", "frame"), zero, b.constant([2]))  # H, W
    longest = b.node("Cast", b.node("ReduceMax", size, keepdims=1), to=TensorProto.FLOAT)
    bound = b.constant([LONGEST_SIDE_PX], np.float32)
    scale = b.node("Min", b.node("Div", bound, longest), b.constant([1.0], np.float32))
    size_px = b.node("Cast", size, to=TensorProto.FLOAT)
    small_px = b.node("Floor", b.node("Add", b.node("Mul", size_px, scale), b.constant([0.5], np.float32)))
    small_px = b.node("Max", small_px, b.constant([1.0], np.float32))
    small = b.node("Cast", small_px, to=TensorProto.INT64)

    factor = b.node("Mul", b.node("Reciprocal", scale), b.constant([1.0 / _LEFT_TO_RESIZE], np.float32))
    step = b.node("Max", b.node("Cast", b.node("Floor", factor), to=TensorProto.INT64), one)
    steps = b.node("Concat", step, step, axis=0)
    # Thinned from the middle of each k x k block, so that the picture does not shift.
    start = b.node("Div", b.node("Sub", step, one), b.constant([2]))
    starts = b.node("Concat", start, start, axis=0)
    thinned = b.node("Slice", "frame", starts, size, b.constant([0, 1]), steps)

    planes = b.node("Unsqueeze", b.node("Transpose", thinned, perm=[2, 0, 1]), zero)
    bgr = b.node("Gather", planes, b.constant([2, 1, 0]), axis=1)
    sizes = b.node("Concat", b.constant([1, 3]), small, axis=0)
    resized = b.node(
        "Resize",
        b.node("Cast", bgr, to=TensorProto.FLOAT),
        "",
        "",
        sizes,
        mode="linear",
        antialias=1,
        exclude_outside=1,
    )
    # -h mod 32 rows and columns (Mod takes the divisor's sign).
    missing = b.node("Mod", b.node("Neg", small), b.constant([STRIDES_PX[-1]]))
    pads = b.node("Concat", b.constant([0] * 6), missing, axis=0)
    picture = b.node("Pad", resized, pads)

    per_pixel = b.node("Div", size_px, small_px)  # y, x
    per_pixel_xy = b.node("Gather", per_pixel, b.constant([1, 0, 1, 0]), axis=0)
    return picture, per_pixel_xy


def _decode(b: GraphBuilder, stride_px: int, maps: dict[str, str]) -> tuple[str, str]:
    """Turn one stride's maps into boxes ``[n, 4]`` and scores ``[n]``, in pixels of the picture YuNet saw.

    An anchor sits at ``(column, row) * stride``; the box centre is offset from it by ``bbox[:2] * stride``
    and its size is ``exp(bbox[2:]) * stride`` (OpenCV's ``FaceDetectorYN`` decodes the same way).
    """
    flat = b.constant([-1])
    cls = b.node("Sigmoid", b.node("Reshape", maps["cls"], flat))
    obj = b.node("Sigmoid", b.node("Reshape", maps["obj"], flat))
    scores = b.node("Sqrt", b.node("Mul", cls, obj))

    shape = b.node("Shape", maps["bbox"])
    zero, one = b.constant(0), b.constant(1)
    rows = b.node("Range", zero, b.node("Gather", shape, b.constant(2)), one)
    columns = b.node("Range", zero, b.node("Gather", shape, b.constant(3)), one)
    row_map = b.node("Unsqueeze", b.node("Cast", rows, to=TensorProto.FLOAT), b.constant([1]))
    column_map = b.node("Unsqueeze", b.node("Cast", columns, to=TensorProto.FLOAT), b.constant([0]))

    parts = b.node("Squeeze", maps["bbox"], b.constant([0]))
    dx, dy, log_w, log_h = (b.node("Gather", parts, b.constant(k), axis=0) for k in range(4))
    half = b.constant(0.5, np.float32)
    width, height = b.node("Exp", log_w), b.node("Exp", log_h)
    left = b.node("Sub", b.node("Add", dx, column_map), b.node("Mul", width, half))
    top = b.node("Sub", b.node("Add", dy, row_map), b.node("Mul", height, half))
    columns_last = [b.node("Reshape", value, b.constant([-1, 1])) for value in (left, top, width, height)]
    boxes = b.node("Concat", *columns_last, axis=1)
    return b.node("Mul", boxes, b.constant(float(stride_px), np.float32)), scores
