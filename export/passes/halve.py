"""Chosen nodes compute in two bytes; Casts stand wherever a value goes between them and the others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from flowtell.export.passes._graph import constants, copied, outer_reads, subgraphs
from flowtell.export.passes.narrow_floats import FLOAT16, NarrowFloat

# These read a value of any type and look at its shape alone.
_SHAPE_READERS = frozenset(("Shape", "Size"))
# Inputs, by their places, that stay float32: ONNX asks that of a Resize's scales, and its roi is no picture.
_FLOAT32_PLACES = {"Resize": (1, 2)}


def halve(
    model: onnx.ModelProto, is_half: Callable[[onnx.NodeProto], bool], half: NarrowFloat = FLOAT16
) -> onnx.ModelProto:
    """Let the chosen nodes read, compute and give floats of two bytes.

    Values keep their names, whatever their type; inputs and outputs of the graph keep their type, and so does
    what the graphs inside a node (If, Loop) read and compute. Constants, and the slopes of a LeakyRelu, are
    rounded where a chosen node reads them, beyond the type's range to its largest number; what a Resize is
    told of sizes stays float32.

    Args:
        model: float32, weights widened; of an opset whose operators take the type.
        is_half: chooses nodes; those without a float32 input or output stay as they are.
        half: the type.
    """
    model = copied(model)
    graph = model.graph
    floats = _float_values(model)
    # what is read by name, outside this graph or in a node's own, keeps its type
    outputs = {value.name for value in graph.output}
    outputs.update(name for node in graph.node for name in outer_reads(node))
    stored = constants(graph)
    halves: dict[str, str] = {}  # float32 value -> its twin of two bytes
    half_values: set[str] = set()  # values that a chosen node made
    wides: dict[str, str] = {}  # value of two bytes -> its float32 twin
    nodes: list[onnx.NodeProto] = []

    def as_half(name: str) -> str:
        if name in half_values:
            return name
        if name not in halves:
            halves[name] = f"{name}/half"
            if name in stored:
                clipped = np.clip(numpy_helper.to_array(stored[name]), -half.largest, half.largest)
                graph.initializer.append(numpy_helper.from_array(clipped.astype(half.dtype), halves[name]))
            else:
                nodes.append(helper.make_node("Cast", [name], [halves[name]], to=half.element))
        return halves[name]

    def as_float(name: str) -> str:
        if name not in half_values:
            return name
        if name not in wides:
            wides[name] = f"{name}/float"
            nodes.append(helper.make_node("Cast", [name], [wides[name]], to=TensorProto.FLOAT))
        return wides[name]

    for old in graph.node:
        node = onnx.NodeProto.FromString(old.SerializeToString())
        touches = any(name in floats for name in (*node.input, *node.output))
        choosable = node.op_type not in _SHAPE_READERS and not subgraphs(node)
        chosen = touches and choosable and is_half(old)
        if node.op_type not in _SHAPE_READERS:
            for index, name in enumerate(node.input):
                if name in floats:
                    is_narrow = chosen and index not in _FLOAT32_PLACES.get(node.op_type, ())
                    node.input[index] = as_half(name) if is_narrow else as_float(name)
        nodes.append(node)
        if not chosen:
            continue
        for item in node.attribute:
            if node.op_type == "Cast" and item.name == "to" and item.i == TensorProto.FLOAT:
                item.i = half.element
            # OpenVINO cuts a slope's last bits off, so that 0.1 would lose 0.4 % in bfloat16, in every layer
            if node.op_type == "LeakyRelu" and item.name == "alpha":
                item.f = float(np.asarray(item.f, half.dtype))
        for index, name in enumerate(node.output):
            if name not in floats:
                continue
            if name in outputs:
                node.output[index] = f"{name}/half"
                halves[name] = f"{name}/half"
                nodes.append(helper.make_node("Cast", [f"{name}/half"], [name], to=TensorProto.FLOAT))
            else:
                half_values.add(name)
    del graph.node[:]
    graph.node.extend(nodes)
    # what was stated of values holds no longer
    del graph.value_info[:]
    _drop_unread(graph)
    return model


def _float_values(model: onnx.ModelProto) -> set[str]:
    """Return the names of all float32 values: inputs, constants, and what nodes make."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    described = [*graph.input, *graph.output, *graph.value_info]
    found = {v.name for v in described if v.type.tensor_type.elem_type == TensorProto.FLOAT}
    return found | {tensor.name for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}


def _drop_unread(graph: onnx.GraphProto) -> None:
    read = {name for node in graph.node for name in (*node.input, *outer_reads(node))}
    kept = [t for t in graph.initializer if t.name in read]
    copies = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in kept]
    del graph.initializer[:]
    graph.initializer.extend(copies)
