"""Means over everything but the batch are taken by pooling, which sums alike whatever the batch."""

from __future__ import annotations

import onnx

from flowtell.export._graph_builder import GraphBuilder
from flowtell.export.passes._graph import attribute, copied, integers, replace_node

_WHOLE_IMAGE = [1, 2, 3]


def pool_means(model: onnx.ModelProto) -> onnx.ModelProto:
    """Replace ReduceMean over all axes but the first by GlobalAveragePool.

    Left with one row to reduce, ONNX Runtime's ReduceMean takes a faster path that sums in another order: a
    score would depend, in its last digits, on how many others were computed with it. A pooling walks through
    each image by itself. Images are pooled channel by channel first, which also keeps the sums short.
    """
    model = copied(model)
    graph = model.graph
    shapes = _shapes(model)
    means = [
        onnx.NodeProto.FromString(n.SerializeToString()) for n in graph.node if n.op_type == "ReduceMean"
    ]
    for number, node in enumerate(means):
        shape = shapes.get(node.input[0])
        axes = integers(graph, node.input[1]) if len(node.input) > 1 else None
        if shape is None or not axes or not _is_whole(shape, [axis % len(shape) for axis in axes]):
            continue
        b = GraphBuilder("pool_means", prefix=f"mean_{number}/")
        value = b.node("GlobalAveragePool", node.input[0]) if axes == _WHOLE_IMAGE else node.input[0]
        # Pooling wants [batch, channels, height, width]: what is left becomes one column of one channel.
        column = b.node("Reshape", value, b.constant([0, 1, -1, 1]))
        keeps_axes = attribute(node, "keepdims") != 0
        if keeps_axes and len(shape) == 4:
            b.node("GlobalAveragePool", column, outputs=list(node.output))
        else:
            kept = [-1] + [1] * (len(shape) - 1 - (0 if keeps_axes else len(axes)))
            b.node(
                "Reshape", b.node("GlobalAveragePool", column), b.constant(kept), outputs=list(node.output)
            )
        replace_node(graph, node, b)
    return model


def _is_whole(shape: list[int | None], axes: list[int]) -> bool:
    """Tell whether the axes cover all of a shape but its first and axes of length 1."""
    return 0 not in axes and all(axis in axes or shape[axis] == 1 for axis in range(1, len(shape)))


def _shapes(model: onnx.ModelProto) -> dict[str, list[int | None]]:
    graph = onnx.shape_inference.infer_shapes(model).graph
    return {
        value.name: [
            dim.dim_value if dim.HasField("dim_value") else None for dim in value.type.tensor_type.shape.dim
        ]
        for value in [*graph.value_info, *graph.input, *graph.output]
        if value.type.tensor_type.HasField("shape")
    }
