"""The bias of a convolution, left as an Add, becomes its third input."""

from __future__ import annotations

from collections.abc import Collection

import onnx

from flowtell.export.passes._graph import consumers, copied, order_nodes
from flowtell.export.passes._weights import weight_of


def fuse_conv_bias(model: onnx.ModelProto, weight_names: Collection[str]) -> onnx.ModelProto:
    """Turn ``Conv(x, kernel) + bias`` into ``Conv(x, kernel, bias)`` where the bias is a weight.

    tf2onnx writes TensorFlow's NCHW BiasAdd as an Add of the bare ``[C]`` vector when the bias is not a
    constant (and only the fused form of it elsewhere); ONNX would broadcast that along the width.
    """
    model = copied(model)
    graph = model.graph
    readers = consumers(graph)
    outputs = {value.name for value in graph.output}
    dead = []
    for conv in graph.node:
        if conv.op_type not in ("Conv", "ConvTranspose") or len(conv.input) != 2 or conv.output[0] in outputs:
            continue
        following = readers.get(conv.output[0], [])
        if len(following) != 1 or following[0].op_type != "Add":
            continue
        add = following[0]
        bias = next(name for name in add.input if name != conv.output[0])
        if weight_of(graph, bias, weight_names) is None:
            continue
        conv.input.append(bias)
        conv.output[0] = add.output[0]
        dead.append(add)
    for node in dead:
        graph.node.remove(node)
    order_nodes(graph)
    return model
