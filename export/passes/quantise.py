"""Chosen kernels and what they read become int8, stated by pairs of QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from flowtell.export.passes._graph import constants, copied, producers

# Position of the output channels in the form each operator wants its kernel in.
_OUTPUT_AXIS = {"Conv": 0, "MatMul": 1}
# These commute with quantisation: what goes through them keeps its scale, and they can run on integers.
_PASSES_ON = frozenset(("MaxPool", "Reshape"))
INT8_MAX = 127

ChooseKernel = Callable[[str], bool]


def quantised_sources(model: onnx.ModelProto, choose: ChooseKernel) -> list[str]:
    """Return the values that `quantise` wants a scale for, in the order they are computed.

    Args:
        model: float32, weights widened.
        choose: says by its name whether a kernel is quantised; asked for constants of Conv and MatMul only.
    """
    made_by = producers(model.graph)
    return list(dict.fromkeys(_source(node.input[0], made_by) for node in _chosen(model.graph, choose)))


def quantise(model: onnx.ModelProto, choose: ChooseKernel, scales: Mapping[str, float]) -> onnx.ModelProto:
    """Put Q/DQ pairs around the chosen Conv and MatMul nodes.

    Signed and symmetric, zero point 0, as TensorRT demands: a kernel ``W`` becomes ``W/int8`` (-127 to 127)
    with one scale an output channel, and a DequantizeLinear whose output is called ``W``; a value ``x`` that
    the node reads goes through one QuantizeLinear and one DequantizeLinear, ``x/dequantised``. Where it comes
    out of a MaxPool, a Reshape or a Relu, that one's input has the pair too, with the same scale: numbers are
    the same (what a Relu sets to zero may be clipped before it), the pool may run on integers, and ONNX
    Runtime sees the convolution between pairs that it needs for its integer kernel. Biases stay float32.

    Args:
        model: float32, weights widened.
        choose: as for `quantised_sources`.
        scales: step of one integer for each of `quantised_sources`, above 0.

    Raises:
        KeyError: a scale is missing.
    """
    model = copied(model)
    graph = model.graph
    made_by = producers(graph)
    before: dict[str, list[onnx.NodeProto]] = {}  # first output of a node -> what must stand before it
    dequantised: dict[str, str] = {}
    sources = {node.output[0]: _source(node.input[0], made_by) for node in _chosen(graph, choose)}

    def pair(value: str, source: str, reader: onnx.NodeProto) -> str:
        """Return the twin of a value that went through a Q/DQ pair, which is made before its first reader."""
        if value in dequantised:
            return dequantised[value]
        node = made_by.get(value)
        if node is not None and node.op_type in (*_PASSES_ON, "Relu"):
            node.input[0] = pair(node.input[0], source, node)
        dequantised[value] = f"{value}/dequantised"
        integers, scale, zero = f"{value}/quantised", f"{source}/scale", "quantise/zero"
        _store(graph, scale, np.float32(scales[source]))
        _store(graph, zero, np.int8(0))
        before.setdefault(reader.output[0], []).extend(
            (
                helper.make_node("QuantizeLinear", [value, scale, zero], [integers]),
                helper.make_node("DequantizeLinear", [integers, scale, zero], [dequantised[value]]),
            )
        )
        return dequantised[value]

    for node in _chosen(graph, choose):
        node.input[0] = pair(node.input[0], sources[node.output[0]], node)
        before.setdefault(node.output[0], []).append(_quantise_kernel(graph, node))
    nodes = [item for node in graph.node for item in (*before.get(node.output[0], ()), node)]
    copies = [onnx.NodeProto.FromString(item.SerializeToString()) for item in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    return model


def _chosen(graph: onnx.GraphProto, choose: ChooseKernel) -> list[onnx.NodeProto]:
    stored = constants(graph)
    return [
        node
        for node in graph.node
        if node.op_type in _OUTPUT_AXIS and node.input[1] in stored and choose(node.input[1])
    ]


def _source(value: str, made_by: Mapping[str, onnx.NodeProto]) -> str:
    """Return where a value comes from, back through what keeps its scale."""
    node = made_by.get(value)
    while node is not None and node.op_type in _PASSES_ON:
        value = node.input[0]
        node = made_by.get(value)
    return value


def _quantise_kernel(graph: onnx.GraphProto, node: onnx.NodeProto) -> onnx.NodeProto:
    """Replace a node's kernel by its integers and return the node that widens them under the old name."""
    name, axis = node.input[1], _OUTPUT_AXIS[node.op_type]
    tensor = constants(graph)[name]
    kernel = numpy_helper.to_array(tensor)
    others = tuple(a for a in range(kernel.ndim) if a != axis)
    largest = np.max(np.abs(kernel), axis=others)
    scale = np.where(largest > 0, largest / INT8_MAX, 1).astype(np.float32)
    shape = [-1 if a == axis else 1 for a in range(kernel.ndim)]
    integers = np.clip(np.rint(kernel / scale.reshape(shape)), -INT8_MAX, INT8_MAX).astype(np.int8)
    tensor.CopyFrom(numpy_helper.from_array(integers, f"{name}/int8"))
    graph.initializer.append(numpy_helper.from_array(scale, f"{name}/scale"))
    graph.initializer.append(numpy_helper.from_array(np.zeros(scale.shape, np.int8), f"{name}/zero"))
    inputs = [f"{name}/int8", f"{name}/scale", f"{name}/zero"]
    return helper.make_node("DequantizeLinear", inputs, [name], axis=axis)


def _store(graph: onnx.GraphProto, name: str, value: np.generic) -> None:
    if name not in constants(graph):
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
