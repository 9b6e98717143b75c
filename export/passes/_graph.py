"""What every pass needs to find its way in a graph."""

from __future__ import annotations

import onnx
from onnx import helper, numpy_helper

from flowtell.export._graph_builder import GraphBuilder


def copied(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy for a pass to change."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def producers(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """Return the node that makes each value."""
    return {output: node for node in graph.node for output in node.output}


def subgraphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """Return the graphs inside a node: the branches of an If, the body of a Loop."""
    found = []
    for item in node.attribute:
        found += [item.g] if item.type == onnx.AttributeProto.GRAPH else item.graphs
    return found


def outer_reads(node: onnx.NodeProto) -> list[str]:
    """Return the values outside a node, beside its inputs, that the graphs inside it read by name."""
    found: list[str] = []
    for graph in subgraphs(node):
        inside = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
        inside.update(output for inner in graph.node for output in inner.output)
        read = [name for inner in graph.node for name in (*inner.input, *outer_reads(inner))]
        read += [value.name for value in graph.output]
        found += [name for name in read if name not in inside]
    return found


def consumers(graph: onnx.GraphProto) -> dict[str, list[onnx.NodeProto]]:
    """Return the nodes that read each value."""
    found: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            found.setdefault(name, []).append(node)
    return found


def constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Return the initialisers by name."""
    return {tensor.name: tensor for tensor in graph.initializer}


def integers(graph: onnx.GraphProto, name: str) -> list[int] | None:
    """Return a constant's values as integers, or None where the value is no constant."""
    tensor = constants(graph).get(name)
    return None if tensor is None else [int(v) for v in numpy_helper.to_array(tensor).ravel()]


def attribute(node: onnx.NodeProto, name: str) -> object:
    """Return an attribute's value, or None where the node has none of that name."""
    return next((helper.get_attribute_value(item) for item in node.attribute if item.name == name), None)


def order_nodes(graph: onnx.GraphProto) -> None:
    """Put the nodes that the outputs need in an order of execution that only the structure decides.

    Each output in turn is followed to the inputs, depth first; nodes that no output needs are dropped.
    """
    made_by = producers(graph)
    ordered: list[onnx.NodeProto] = []
    finished: set[str] = set()
    waiting = [(value.name, False) for value in reversed(graph.output)]
    while waiting:
        name, inputs_done = waiting.pop()
        node = made_by.get(name)
        if node is None or node.output[0] in finished:
            continue
        if inputs_done:
            finished.add(node.output[0])
            ordered.append(node)
        else:
            waiting.append((name, True))
            sources = (*node.input, *outer_reads(node))
            waiting.extend((source, False) for source in reversed(sources))
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in ordered]
    del graph.node[:]
    graph.node.extend(copies)


def replace_node(graph: onnx.GraphProto, node: onnx.NodeProto, builder: GraphBuilder) -> None:
    """Put a builder's nodes in the place of one node, and its constants among the initialisers."""
    position = next(index for index, other in enumerate(graph.node) if other.output[0] == node.output[0])
    replacement = [*graph.node[:position], *builder.nodes, *graph.node[position + 1 :]]
    copies = [onnx.NodeProto.FromString(item.SerializeToString()) for item in replacement]
    del graph.node[:]
    graph.node.extend(copies)
    present = constants(graph)
    graph.initializer.extend(tensor for name, tensor in builder.initializers.items() if name not in present)
