"""Nodes, constants and opsets that nothing needs any more are dropped."""

from __future__ import annotations

import onnx

from flowtell.export.passes._graph import copied


def drop_unused(model: onnx.ModelProto) -> onnx.ModelProto:
    """Keep what the graph's outputs need; inputs stay as they are.

    Raises:
        ValueError: an operator outside the default domain is left.
    """
    model = copied(model)
    graph = model.graph
    needed = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if any(name in needed for name in node.output):
            kept.append(node)
            needed.update(node.input)
    foreign = sorted(
        {f"{node.domain}::{node.op_type}" for node in kept if node.domain not in ("", "ai.onnx")}
    )
    if foreign:
        raise ValueError(f"operators outside the default domain are left: {', '.join(foreign)}")
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in reversed(kept)]
    del graph.node[:]
    graph.node.extend(copies)
    initializers = [tensor for tensor in graph.initializer if tensor.name in needed]
    copied_tensors = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in initializers]
    del graph.initializer[:]
    graph.initializer.extend(copied_tensors)
    del graph.value_info[:]
    default = next(item for item in model.opset_import if item.domain in ("", "ai.onnx"))
    version = default.version
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", version))
    return model
