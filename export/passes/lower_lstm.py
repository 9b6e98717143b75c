"""The opaque ``LSTM`` node becomes ONNX's operator of that name."""

from __future__ import annotations

import onnx

from flowtell.export._graph_builder import GraphBuilder
from flowtell.export.passes._graph import copied, replace_node
from flowtell.export.passes._opaque import LSTM_OP, opaque_nodes


def lower_lstm(model: onnx.ModelProto) -> onnx.ModelProto:
    """Write every ``LSTM(sequence [B, T, D], kernel [D, 4U], recurrent [U, 4U], bias [8U])`` as ONNX's LSTM.

    Its output is the last hidden state ``[B, U]``. The layer keeps its gates and biases in ONNX's order, so
    that the weights are only transposed and given a leading axis of one direction.
    """
    model = copied(model)
    for number in range(len(opaque_nodes(model.graph, LSTM_OP))):
        _lower(model.graph, opaque_nodes(model.graph, LSTM_OP)[0], f"lstm_{number}")
    return model


def _lower(graph: onnx.GraphProto, node: onnx.NodeProto, prefix: str) -> None:
    sequence, kernel, recurrent, bias = node.input
    b = GraphBuilder(prefix, prefix=f"{prefix}/")
    zero = b.constant([0])
    by_time = b.node("Transpose", sequence, perm=[1, 0, 2])
    # Every graph input that holds a weight says its shape.
    units = next(v for v in graph.input if v.name == recurrent).type.tensor_type.shape.dim[0].dim_value
    weights = [b.node("Unsqueeze", b.node("Transpose", w, perm=[1, 0]), zero) for w in (kernel, recurrent)]
    outputs = [f"{prefix}/all", f"{prefix}/hidden"]
    b.node("LSTM", by_time, *weights, b.node("Unsqueeze", bias, zero), outputs=outputs, hidden_size=units)
    b.node("Squeeze", outputs[1], zero, outputs=list(node.output))
    replace_node(graph, node, b)
