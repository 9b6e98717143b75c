"""The nodes that tracing leaves for the lowering passes."""

from __future__ import annotations

import onnx

OPAQUE_DOMAIN = "flowtell.opaque"
WARP_OP = "Warp"
COST_VOLUME_OP = "CostVolume"
LSTM_OP = "LSTM"


def opaque_nodes(graph: onnx.GraphProto, op_type: str) -> list[onnx.NodeProto]:
    """Return the opaque nodes of one kind, in the order they run."""
    return [node for node in graph.node if node.domain == OPAQUE_DOMAIN and node.op_type == op_type]
