"""A float16 graph in float32, rounded where float16 would round: for runtimes without float16 arithmetic."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from flowtell.export.passes._graph import copied

# Veltkamp (Dekker, Numerische Mathematik 18, 1971): x * (2**13 + 1) keeps the 24 - 13 = 11 leading
# bits of x, which are float16's.
_SPLIT = 2.0**13 + 1
_HALF_MAX = float(np.finfo(np.float16).max)
# What only moves values has nothing to round.
_MOVES = frozenset(
    ("Concat", "Gather", "Identity", "MaxPool", "Pad", "Relu", "Reshape", "Slice", "Split", "Squeeze",
     "Transpose", "Unsqueeze")
)  # fmt: skip


def round_halves(model: onnx.ModelProto) -> onnx.ModelProto:
    """Keep every float16 value of a graph in float32, rounded to float16's 11 bits and range.

    ONNX Runtime's CPU provider computes a float16 graph in float32 and takes out the Casts between its nodes,
    so that it shows hardly any of what float16 does. This graph shows what a device gives that stores float16
    and sums in float32. Numbers beyond float16's largest become infinite; those under 6e-5 keep more bits
    than float16 has for them.
    """
    model = copied(model)
    graph = model.graph
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    halves = {
        value.name
        for value in (*inferred.value_info, *inferred.output)
        if value.type.tensor_type.elem_type == TensorProto.FLOAT16
    }
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT16:
            wide = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))
    for name, value in (("half/split", _SPLIT), ("half/max", _HALF_MAX), ("half/infinity", np.inf)):
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), name))
    nodes: list[onnx.NodeProto] = []
    for old in graph.node:
        node = onnx.NodeProto.FromString(old.SerializeToString())
        for item in node.attribute:
            if node.op_type == "Cast" and item.name == "to" and item.i == TensorProto.FLOAT16:
                item.i = TensorProto.FLOAT
        nodes.append(node)
        if node.op_type in _MOVES:
            continue
        for index, name in enumerate(node.output):
            if name in halves:
                node.output[index] = f"{name}/exact"
                nodes.extend(_rounding(f"{name}/exact", name))
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    return model


def _rounding(name: str, result: str) -> list[onnx.NodeProto]:
    steps = [
        ("Mul", [name, "half/split"], "scaled"),
        ("Sub", [f"{name}/scaled", name], "rest"),
        ("Sub", [f"{name}/scaled", f"{name}/rest"], "short"),
        ("Abs", [f"{name}/short"], "size"),
        ("Greater", [f"{name}/size", "half/max"], "beyond"),
        ("Sign", [f"{name}/short"], "sign"),
        ("Mul", [f"{name}/sign", "half/infinity"], "infinite"),
    ]
    nodes = [helper.make_node(op, inputs, [f"{name}/{output}"]) for op, inputs, output in steps]
    chosen = [f"{name}/beyond", f"{name}/infinite", f"{name}/short"]
    return [*nodes, helper.make_node("Where", chosen, [result])]
