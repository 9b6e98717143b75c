"""A dense layer that reads flattened channels-last maps is made to read channels-first maps."""

from __future__ import annotations

from collections.abc import Collection

import onnx

from flowtell.export._graph_builder import GraphBuilder
from flowtell.export.passes._graph import attribute, consumers, copied, integers, producers
from flowtell.export.passes._weights import weight_of

_TO_CHANNELS_LAST = [0, 2, 3, 1]
_KEEPS_CHANNELS = ("LeakyRelu", "MaxPool", "Relu")


def permute_dense(model: onnx.ModelProto, weight_names: Collection[str]) -> onnx.ModelProto:
    """Replace ``MatMul(Reshape(Transpose(x, NHWC)), W)`` by ``MatMul(Reshape(x), W')``.

    W' has the rows of W in the order in which x holds them: the transpose moves from every run to the export.

    Raises:
        ValueError: the number of channels of x cannot be told.
    """
    model = copied(model)
    graph = model.graph
    readers = consumers(graph)
    for transpose in [node for node in graph.node if node.op_type == "Transpose"]:
        if attribute(transpose, "perm") != _TO_CHANNELS_LAST:
            continue
        reshapes = readers.get(transpose.output[0], [])
        if len(reshapes) != 1 or reshapes[0].op_type != "Reshape":
            continue
        shape = integers(graph, reshapes[0].input[1])
        matmuls = readers.get(reshapes[0].output[0], [])
        if shape is None or len(shape) != 2 or len(matmuls) != 1 or matmuls[0].op_type != "MatMul":
            continue
        kernel = matmuls[0].input[1]
        if weight_of(graph, kernel, weight_names) is None:
            continue
        channels = _channels(graph, transpose.input[0], weight_names)
        rows = shape[1]
        b = GraphBuilder("permute", prefix=f"{matmuls[0].output[0]}/kernel/")
        split = b.node("Reshape", kernel, b.constant([rows // channels, channels, -1]))
        swapped = b.node("Transpose", split, perm=[1, 0, 2])
        merged = b.node("Reshape", swapped, b.constant([rows, -1]))
        position = next(index for index, node in enumerate(graph.node) if node is matmuls[0])
        matmuls[0].input[1] = merged
        reshapes[0].input[0] = transpose.input[0]
        for offset, node in enumerate(b.nodes):
            graph.node.insert(position + offset, node)
        graph.initializer.extend(b.initializers.values())
    return model


def _channels(graph: onnx.GraphProto, value: str, weight_names: Collection[str]) -> int:
    """Return the channels of an NCHW value, from the convolution that made it."""
    made_by = producers(graph)
    node = made_by.get(value)
    while node is not None and node.op_type in _KEEPS_CHANNELS:
        node = made_by.get(node.input[0])
    kernel = (
        weight_of(graph, node.input[1], weight_names) if node is not None and node.op_type == "Conv" else None
    )
    if kernel is None:
        raise ValueError(f"cannot tell the channels of {value!r}: no convolution makes it")
    shape = next(v.type.tensor_type.shape for v in graph.input if v.name == kernel)
    return shape.dim[-1].dim_value  # Keras keeps kernels as [h, w, in, out]
