"""The blocks of a detector graph: what a precision is chosen for, and what a fault is pinned on."""

from __future__ import annotations

import re

import onnx

__all__ = ["node_blocks"]

# What the name of a node's first output begins with, and the block it is then in. Names come from Keras's
# layers (`training.models`) and from the passes that write an operator out.
_NAMED = tuple(
    (re.compile(pattern), block)
    for pattern, block in (
        (r"pyramid/(\d)_", r"pyramid level \1"),
        (r"decoder_(\d)/head", r"flow head \1"),
        (r"decoder_(\d)/", r"decoder \1"),
        (r"context/head", "context head"),
        (r"context/", "context"),
        (r"upsample_flow_", "flow upsampling"),
        (r"upsample_features_", "feature upsampling"),
        (r"cost_volume/", "cost volume"),
        (r"warp/", "warp"),
        (r"residual/", "residual"),
        (r"flow_image/", "flow image"),
        (r"classifier/resize", "resize"),
        (r"classifier/block(\d)", r"classifier block \1"),
        (r"classifier/dense", "classifier dense"),
        (r"classifier/logit", "logit"),
        (r"classifier/", "colour order"),
        (r"clip_head/|lstm(_\d+)?/", "clip head"),
    )
)
# What moves values or passes them on belongs to what made them; other arithmetic without a name of its own is
# told by what it reads.
_MOVES = frozenset(
    ("Concat", "Gather", "Identity", "LeakyRelu", "Pad", "Reshape", "Slice", "Split", "Squeeze", "Transpose",
     "Unsqueeze")
)  # fmt: skip
_NORMALISED = re.compile(r"pyramid|warp|normalise")


def node_blocks(model: onnx.ModelProto) -> dict[str, str]:
    """Return the block of each node, by the name of its first output.

    Args:
        model: a detector, flow or classifier graph of this package, weights widened or not. Nodes of unknown
            names count to the block of what they read; where that is an input of the graph, to ``input``.
    """
    blocks: dict[str, str] = {}
    by_value: dict[str, str] = {}
    for node in model.graph.node:
        name = node.output[0]
        block = _named(name) or _inherited(node, by_value)
        blocks[name] = block
        by_value.update(dict.fromkeys(node.output, block))
    return blocks


def _named(name: str) -> str | None:
    for pattern, block in _NAMED:
        found = pattern.match(name)
        if found:
            return found.expand(block)
    return None


def _inherited(node: onnx.NodeProto, by_value: dict[str, str]) -> str:
    read = [by_value[name] for name in node.input if name in by_value]
    if not read:
        return "input"
    if node.op_type not in _MOVES and any(_NORMALISED.match(block) for block in read):
        return "normalise"
    return read[0]
