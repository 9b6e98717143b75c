"""Chains of nodes that only rearrange one weight."""

from __future__ import annotations

from collections.abc import Collection

import onnx

from flowtell.export.passes._graph import producers

REARRANGING = ("Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")


def weight_of(graph: onnx.GraphProto, value: str, weight_names: Collection[str]) -> str | None:
    """Return the weight that a value is a mere rearrangement of, or None."""
    made_by = producers(graph)
    while value not in weight_names:
        node = made_by.get(value)
        if node is None or node.op_type not in REARRANGING:
            return None
        value = node.input[0]
    return value
