"""Where two graphs begin to differ: the first node, and its block, whose result exceeds a limit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from flowtell.export.blocks import node_blocks
from flowtell.export.calibration import session_of, with_outputs
from flowtell.export.passes.widen_weights import widen_weights

__all__ = ["Difference", "first_difference"]


@dataclass(frozen=True)
class Difference:
    """A value inside both graphs that differs.

    Attributes:
        block: the block of the node that makes it.
        op_type: that node's operator.
        value: its name in both graphs.
        relative: largest difference over the largest size in the first graph.
    """

    block: str
    op_type: str
    value: str
    relative: float

    def __str__(self) -> str:
        """Return the finding in words."""
        return (
            f"the first to differ is the block '{self.block}': {self.op_type} '{self.value}' by "
            f"{self.relative:.2g} of its largest value"
        )


def first_difference(
    reference: onnx.ModelProto, candidate: onnx.ModelProto, frames: np.ndarray, limit: float
) -> Difference | None:
    """Run two detectors on a clip, every value that both have given out, and return the first that differs.

    Values are compared in the order in which the candidate computes them, by name and only where both give
    floating-point numbers of one shape.

    Args:
        reference: what is right: the Keras models, exported in float32.
        candidate: what is suspected, derived from the same structure in any precision.
        frames: ``uint8 [n + 1, S, S, 3]`` RGB; one pair is enough, and every value of it is held.
        limit: largest difference, as a share of the largest value, that still counts as agreeing.
    """
    # Stored weights are widened first: what is made of constants alone is no part of the comparison.
    reference, candidate = widen_weights(reference), widen_weights(candidate)
    known = {name for node in reference.graph.node for name in node.output}
    shared = [name for node in candidate.graph.node for name in node.output if name in known]
    runs = [_values(model, shared, frames) for model in (reference, candidate)]
    blocks = node_blocks(candidate)
    for node in candidate.graph.node:
        for name in node.output:
            if name not in known:
                continue
            wanted, found = (run[name] for run in runs)
            if not np.issubdtype(wanted.dtype, np.floating) or not np.issubdtype(found.dtype, np.floating):
                continue
            relative = _relative(wanted.astype(np.float64), found.astype(np.float64))
            if not relative <= limit:
                return Difference(blocks[node.output[0]], node.op_type, name, relative)
    return None


def _values(model: onnx.ModelProto, names: list[str], frames: np.ndarray) -> dict[str, np.ndarray]:
    results = session_of(with_outputs(model, names)).run(names, {"clips": frames[None]})
    return dict(zip(names, results, strict=True))


def _relative(wanted: np.ndarray, found: np.ndarray) -> float:
    if wanted.shape != found.shape:
        return float("inf")
    if not wanted.size:
        return 0.0
    largest = float(np.abs(wanted).max())
    return float(np.abs(wanted - found).max()) / largest if largest else float(np.abs(found).max())
