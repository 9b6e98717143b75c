"""The opaque ``Warp`` node becomes GridSample."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from flowtell.export._graph_builder import GraphBuilder
from flowtell.export.passes._graph import copied, replace_node
from flowtell.export.passes._opaque import WARP_OP, opaque_nodes


def lower_warp(model: onnx.ModelProto) -> onnx.ModelProto:
    """Write every ``Warp(features [N, C, H, W], flow [N, 2, H, W])`` as one GridSample and its sampling grid.

    The grid is pixel position plus flow, scaled to [-1, 1] for ``align_corners=1``; samples outside count as
    zero. H and W are read from the flow at run time, so that the nodes serve any size (at least 2x2).
    """
    model = copied(model)
    for number in range(len(opaque_nodes(model.graph, WARP_OP))):
        _lower(model.graph, opaque_nodes(model.graph, WARP_OP)[0], f"warp_{number}")
    return model


def _lower(graph: onnx.GraphProto, node: onnx.NodeProto, prefix: str) -> None:
    features, flow = node.input
    b = GraphBuilder(prefix, prefix=f"{prefix}/")
    axes = []
    # x runs along axis 3 of the flow and is its channel 0, y along axis 2 and channel 1.
    for channel, axis, own_shape in ((0, 3, [1, 1, -1]), (1, 2, [1, -1, 1])):
        length = b.node("Squeeze", b.size(flow, axis), b.constant([0]))
        positions = b.node("Range", b.constant(0), length, b.constant(1))
        positions = b.node("Reshape", b.node("Cast", positions, to=TensorProto.FLOAT), b.constant(own_shape))
        component = b.node("Gather", flow, b.constant(channel), axis=1)
        last = b.node("Cast", b.node("Sub", length, b.constant(1)), to=TensorProto.FLOAT)
        scale = b.node("Div", b.constant(2.0, np.float32), last)
        scaled = b.node("Mul", b.node("Add", component, positions), scale)
        relative = b.node("Sub", scaled, b.constant(1.0, np.float32))
        axes.append(b.node("Unsqueeze", relative, b.constant([3])))
    grid = b.node("Concat", *axes, axis=3)
    sampling = {"mode": "bilinear", "padding_mode": "zeros", "align_corners": 1}
    b.node("GridSample", features, grid, outputs=list(node.output), **sampling)
    replace_node(graph, node, b)
