"""A graph of two-byte floats in float32, rounded where it would round: for runtimes without them."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from flowtell.export.passes._graph import copied
from flowtell.export.passes.narrow_floats import BFLOAT16, FLOAT16, NarrowFloat

_FLOAT32_BITS = 24
_NARROW = {half.element: half for half in (FLOAT16, BFLOAT16)}
# What only moves values has nothing to round.
_MOVES = frozenset(
    ("Concat", "Gather", "Identity", "MaxPool", "Pad", "Relu", "Reshape", "Slice", "Split", "Squeeze",
     "Transpose", "Unsqueeze")
)  # fmt: skip


def round_halves(model: onnx.ModelProto) -> onnx.ModelProto:
    """Keep every float16 and bfloat16 value of a graph in float32, rounded to its type's bits and range.

    ONNX Runtime's CPU provider computes a float16 graph in float32 and takes out the Casts between its nodes,
    so that it shows hardly any of what float16 does; bfloat16 it refuses. This graph shows what a device
    gives that stores two bytes and sums in float32. Numbers beyond float16's largest become infinite; those
    under 6e-5 keep more bits than float16 has for them. bfloat16 has float32's range.
    """
    model = copied(model)
    graph = model.graph
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    halves = {
        value.name: _NARROW[value.type.tensor_type.elem_type]
        for value in (*inferred.value_info, *inferred.output)
        if value.type.tensor_type.elem_type in _NARROW
    }
    for tensor in graph.initializer:
        if tensor.data_type in _NARROW:
            wide = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))
    for name, value in _constants(set(halves.values())).items():
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), name))
    nodes: list[onnx.NodeProto] = []
    for old in graph.node:
        node = onnx.NodeProto.FromString(old.SerializeToString())
        for item in node.attribute:
            if node.op_type == "Cast" and item.name == "to" and item.i in _NARROW:
                item.i = TensorProto.FLOAT
        nodes.append(node)
        if node.op_type in _MOVES:
            continue
        for index, name in enumerate(node.output):
            if name in halves:
                node.output[index] = f"{name}/exact"
                nodes.extend(_rounding(f"{name}/exact", name, halves[name]))
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    return model


def _constants(types: set[NarrowFloat]) -> dict[str, float]:
    """Return what `_rounding` reads, by name."""
    found = {"half/infinity": np.inf}
    for half in types:
        # Veltkamp (Dekker, Numerische Mathematik 18, 1971): x * (2**k + 1) keeps the 24 - k leading bits of x
        found[f"half/{half.dtype}/split"] = 2.0 ** (_FLOAT32_BITS - half.bits) + 1
        found[f"half/{half.dtype}/max"] = half.largest
    return found


def _rounding(name: str, result: str, half: NarrowFloat) -> list[onnx.NodeProto]:
    split, largest = f"half/{half.dtype}/split", f"half/{half.dtype}/max"
    steps = [
        ("Mul", [name, split], "scaled"),
        ("Sub", [f"{name}/scaled", name], "rest"),
        ("Sub", [f"{name}/scaled", f"{name}/rest"], "short"),
        ("Abs", [f"{name}/short"], "size"),
        ("Greater", [f"{name}/size", largest], "beyond"),
        ("Sign", [f"{name}/short"], "sign"),
        ("Mul", [f"{name}/sign", "half/infinity"], "infinite"),
    ]
    nodes = [helper.make_node(op, inputs, [f"{name}/{output}"]) for op, inputs, output in steps]
    chosen = [f"{name}/beyond", f"{name}/infinite", f"{name}/short"]
    return [*nodes, helper.make_node("Where", chosen, [result])]
