"""What only rearranges a weight is done to the weight, once, and written down."""

from __future__ import annotations

import json
import math
from collections.abc import Collection

import onnx
from onnx import helper

from flowtell.export.passes._graph import attribute, consumers, copied, integers
from flowtell.export.passes._weights import REARRANGING

# metadata_props key of the recipes: JSON, {weight: {"shape": Keras's shape, "steps": [...]}}, a step being
# ["transpose", permutation] or ["reshape", shape].
RECIPES_KEY = "flowtell.weight_recipes"

Recipe = list[list]


def fold_weight_chains(model: onnx.ModelProto, weight_names: Collection[str]) -> onnx.ModelProto:
    """Remove the nodes that rearrange a weight and give its graph input the shape its consumers want.

    The rearrangements go into the metadata under ``RECIPES_KEY``: applied in turn to the Keras weight they
    give the initialiser, undone from the last to the first they give the Keras weight back.

    Raises:
        ValueError: two consumers want one weight in different forms.
    """
    model = copied(model)
    graph = model.graph
    recipes: dict[str, dict] = {}
    for value in graph.input:
        if value.name not in weight_names:
            continue
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        forms = _forms(graph, value.name, shape)
        if len({json.dumps(recipe) for recipe, _, _ in forms}) > 1:
            raise ValueError(
                f"the weight {value.name} is wanted in several forms: {[r for r, _, _ in forms]}"
            )
        recipe, final_shape, _ = forms[0]
        for _, _, name in forms:
            _rename_reads(graph, name, value.name)
        recipes[value.name] = {"shape": shape, "steps": recipe}
        value.CopyFrom(helper.make_tensor_value_info(value.name, onnx.TensorProto.FLOAT, final_shape))
    helper.set_model_props(model, {RECIPES_KEY: json.dumps(recipes, separators=(",", ":"))})
    return model


def _forms(graph: onnx.GraphProto, weight: str, shape: list[int]) -> list[tuple[Recipe, list[int], str]]:
    """Return (recipe, shape, value) for each end of the rearrangements that start at a weight."""
    readers = consumers(graph)
    keras_shape = shape
    ends, waiting = [], [([], shape, weight)]
    while waiting:
        recipe, shape, value = waiting.pop()
        following = readers.get(value, [])
        rearranging = [n for n in following if n.op_type in REARRANGING and n.input[0] == value]
        if len(rearranging) < len(following) or not following:
            ends.append((recipe, shape, value))
        for node in rearranging:
            new_shape = _shape_after(graph, node, shape)
            step = (
                ["transpose", attribute(node, "perm")]
                if node.op_type == "Transpose"
                else ["reshape", new_shape]
            )
            waiting.append((_shortened([*recipe, step], keras_shape), new_shape, node.output[0]))
    return ends


def _shape_after(graph: onnx.GraphProto, node: onnx.NodeProto, shape: list[int]) -> list[int]:
    if node.op_type == "Identity":
        return shape
    if node.op_type == "Transpose":
        return [shape[axis] for axis in attribute(node, "perm")]
    if node.op_type == "Reshape":
        wanted = [shape[i] if n == 0 else n for i, n in enumerate(integers(graph, node.input[1]))]
        known = math.prod(n for n in wanted if n != -1)
        return [math.prod(shape) // known if n == -1 else n for n in wanted]
    axes = (
        integers(graph, node.input[1]) if len(node.input) > 1 else [i for i, n in enumerate(shape) if n == 1]
    )
    if node.op_type == "Squeeze":
        return [n for i, n in enumerate(shape) if i not in {axis % len(shape) for axis in axes}]
    rank = len(shape) + len(axes)
    places = {axis % rank for axis in axes}
    rest = iter(shape)
    return [1 if i in places else next(rest) for i in range(rank)]


def _shortened(recipe: Recipe, shape: list[int]) -> Recipe:
    """Join the last two steps where both are reshapes, and drop a reshape that then changes nothing.

    Args:
        recipe: from a weight of this shape; all but its last step are shortened already.
        shape: Keras's, before the first step.
    """
    *rest, last = recipe
    if last[0] == "transpose":
        return recipe
    if rest and rest[-1][0] == "reshape":
        rest = rest[:-1]
    for kind, step in rest:
        shape = step if kind == "reshape" else [shape[axis] for axis in step]
    return rest if last[1] == shape else [*rest, last]


def _rename_reads(graph: onnx.GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        if node.op_type in REARRANGING and node.input[0] == old:
            continue
        for index, name in enumerate(node.input):
            if name == old:
                node.input[index] = new
