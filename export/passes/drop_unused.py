"""Nodes, constants and opsets that nothing needs are dropped; what is left stands in one fixed order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import helper, numpy_helper

from flowtell.export.passes._graph import copied, order_nodes, outer_reads, subgraphs


def drop_unused(model: onnx.ModelProto) -> onnx.ModelProto:
    """Keep what the graph's outputs need, equal constants once; inputs stay as they are.

    What the graphs inside a node (If, Loop) read is needed, too; they themselves are left alone.

    The order of nodes and constants follows from the graph's structure: tf2onnx's own changes from run to
    run.

    Raises:
        ValueError: an operator outside the default domain is left.
    """
    model = copied(model)
    graph = model.graph
    order_nodes(graph)
    foreign = sorted(
        {f"{n.domain}::{n.op_type}" for n in _nodes_at_any_depth(graph) if n.domain not in ("", "ai.onnx")}
    )
    if foreign:
        raise ValueError(f"operators outside the default domain are left: {', '.join(foreign)}")
    _keep_constants(graph)
    del graph.value_info[:]
    version = next(item.version for item in model.opset_import if item.domain in ("", "ai.onnx"))
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", version))
    return model


def _nodes_at_any_depth(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for inner in subgraphs(node):
            yield from _nodes_at_any_depth(inner)


def _keep_constants(graph: onnx.GraphProto) -> None:
    """Keep the constants that are read, equal ones once, in the order in which they are first read."""
    by_name = {tensor.name: tensor for tensor in graph.initializer}
    first_of: dict[bytes, str] = {}
    kept: list[onnx.TensorProto] = []
    # read under their own names where no pass rewrites: these stand for their equals
    for name in dict.fromkeys(name for node in graph.node for name in outer_reads(node)):
        if name in by_name:
            array = numpy_helper.to_array(by_name[name])
            first_of.setdefault(_content(array), name)
            kept.append(numpy_helper.from_array(array, name))
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name not in by_name:
                continue
            array = numpy_helper.to_array(by_name[name])
            content = _content(array)
            if content not in first_of:
                first_of[content] = name
                kept.append(numpy_helper.from_array(array, name))
            node.input[index] = first_of[content]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _content(array: np.ndarray) -> bytes:
    return f"{array.dtype}{array.shape}".encode() + array.tobytes()
