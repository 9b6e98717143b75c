"""The opaque ``CostVolume`` node becomes Pad, MatMul, Reshape and Slice."""

from __future__ import annotations

import onnx
from onnx import TensorProto

from flowtell.export._graph_builder import GraphBuilder
from flowtell.export.passes._graph import copied, replace_node
from flowtell.export.passes._opaque import COST_VOLUME_OP, opaque_nodes

MAX_DISPLACEMENT = 4
_TO_THE_END = 2**31 - 1


def lower_cost_volume(model: onnx.ModelProto, max_displacement: int = MAX_DISPLACEMENT) -> onnx.ModelProto:
    """Write every ``CostVolume(features1, features2)``, both ``[N, C, H, W]``, in default-domain operators.

    For one row offset the products of row y of image 1 with row y + dy of image 2 are one matrix product
    ``M[w, w'] = f1[w] . f2[w']`` of shape ``[W, W + 2d]``. Its ``2d + 1`` wanted diagonals ``M[w, w + k]``
    stand one above the other once the flattened product, padded by W, is read in rows of ``W + 2d + 1``. W is
    read at run time. The three Transposes of a cost volume are the only ones between the edges of the graph.
    """
    model = copied(model)
    for number in range(len(opaque_nodes(model.graph, COST_VOLUME_OP))):
        node = opaque_nodes(model.graph, COST_VOLUME_OP)[0]
        _lower(model.graph, node, f"cost_volume_{number}", max_displacement)
    return model


def _lower(graph: onnx.GraphProto, node: onnx.NodeProto, prefix: str, d: int) -> None:
    features1, features2 = node.input
    b = GraphBuilder(prefix, prefix=f"{prefix}/")
    width = b.size(features1, 3)
    channels = b.node("Cast", b.size(features1, 1), to=TensorProto.FLOAT)
    # The mean over channels is taken on the smaller factor.
    mean = b.node("Mul", features1, b.node("Reciprocal", channels))
    rows1 = b.node("Transpose", mean, perm=[0, 2, 3, 1])
    padded2 = b.node("Pad", features2, b.constant([0, 0, d, d, 0, 0, d, d]))
    rows2 = b.node("Transpose", padded2, perm=[0, 2, 1, 3])
    flat = b.constant([0, 0, -1])
    skewed = b.node("Concat", b.constant([0, 0]), width, b.constant([-1]), axis=0)
    pads = b.node("Concat", b.constant([0] * 5), width, axis=0)
    by_row = []
    for dy in range(2 * d + 1):
        # Rows dy to dy + H of the padded H + 2d.
        end = _TO_THE_END if dy == 2 * d else dy - 2 * d
        row = b.node("Slice", rows2, b.constant([dy]), b.constant([end]), b.constant([1]))
        products = b.node("Reshape", b.node("MatMul", rows1, row), flat)
        diagonals = b.node("Reshape", b.node("Pad", products, pads), skewed)
        by_row.append(b.node("Slice", diagonals, b.constant([0]), b.constant([2 * d + 1]), b.constant([3])))
    volume = b.node("Concat", *by_row, axis=3)
    b.node("Transpose", volume, perm=[0, 3, 1, 2], outputs=list(node.output))
    replace_node(graph, node, b)
