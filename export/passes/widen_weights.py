"""Stored weights become float32 constants: the nodes that widen them are worked out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from flowtell.export.passes._graph import attribute, constants, copied


def widen_weights(
    model: onnx.ModelProto, choose: Callable[[str], bool] = lambda name: True
) -> onnx.ModelProto:
    """Replace each chain of Cast, Sub and Mul that starts at a stored constant by what it computes.

    Only chains in which every input is a constant are replaced, and the constants that nothing reads any more
    are dropped. The values are those that a runtime computes: float32 after the first Cast.

    Args:
        model: a graph whose weights `flowtell.export.storage` stored.
        choose: says by its name whether the value that a chain ends in is wanted; the others stay stored.
    """
    model = copied(model)
    graph = model.graph
    held = {name: numpy_helper.to_array(tensor) for name, tensor in constants(graph).items()}
    read = {name for node in graph.node for name in node.input if node.op_type not in _WIDENING}
    chain: dict[str, np.ndarray] = {}  # what the nodes so far make of constants alone
    ends: set[str] = set()
    for node in graph.node:
        inputs = [chain.get(name, held.get(name)) for name in node.input]
        if node.op_type in _WIDENING and all(value is not None for value in inputs):
            result = _WIDENING[node.op_type](node, inputs)
            if result is not None:
                chain[node.output[0]] = result
                if node.output[0] in read and choose(node.output[0]):
                    ends.add(node.output[0])
    kept = _needed(graph, ends)
    del graph.node[:]
    graph.node.extend(kept)
    wanted = {name for node in kept for name in node.input} | {value.name for value in graph.output}
    arrays = {name: array for name, array in held.items() if name in wanted}
    arrays |= {name: chain[name] for name in sorted(ends)}
    del graph.initializer[:]
    graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    return model


def _needed(graph: onnx.GraphProto, given: set[str]) -> list[onnx.NodeProto]:
    """Return copies of the nodes that the outputs need where some values are given as constants."""
    wanted = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if any(name in wanted and name not in given for name in node.output):
            wanted.update(node.input)
            kept.append(onnx.NodeProto.FromString(node.SerializeToString()))
    return kept[::-1]


def _cast(node: onnx.NodeProto, inputs: list[np.ndarray]) -> np.ndarray | None:
    to_float = attribute(node, "to") == TensorProto.FLOAT
    return np.asarray(inputs[0], np.float32) if to_float else None


_WIDENING = {
    "Cast": _cast,
    "Mul": lambda node, inputs: np.asarray(inputs[0] * inputs[1]),
    "Sub": lambda node, inputs: np.asarray(inputs[0] - inputs[1]),
}
