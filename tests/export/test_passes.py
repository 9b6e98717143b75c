"""Every graph pass, on the smallest graph that shows what it does."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from tolerances import TOLERANCES

from flowtell.export.passes import (
    OPAQUE_DOMAIN,
    RECIPES_KEY,
    drop_unused,
    fold_weight_chains,
    fuse_conv_bias,
    lower_cost_volume,
    lower_warp,
    permute_dense,
    pool_means,
    shorten_names,
)

GENERATOR = np.random.default_rng(0)


def model_of(nodes, inputs, outputs, constants=()):
    """Build a model; inputs and outputs are name -> shape, constants name -> array."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in dict(constants).items()],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(OPAQUE_DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def run(model, **inputs):
    del model.opset_import[1:]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, inputs)[0]


def normal(*shape):
    return GENERATOR.normal(size=shape).astype(np.float32)


def types(model):
    return [node.op_type for node in model.graph.node]


def test_lower_warp_samples_where_the_flow_says():
    node = helper.make_node("Warp", ["features", "flow"], ["warped"], domain=OPAQUE_DOMAIN)
    shapes = {"features": ["N", 3, "H", "W"], "flow": ["N", 2, "H", "W"]}
    model = lower_warp(model_of([node], shapes, {"warped": None}))
    assert types(model).count("GridSample") == 1
    features = normal(2, 3, 5, 8)
    # x runs right, y down: each output pixel reads 1 to the right and 2 below; outside counts as zero.
    flow = np.stack([np.full((2, 5, 8), 1), np.full((2, 5, 8), 2)], axis=1).astype(np.float32)
    wanted = np.zeros_like(features)
    wanted[:, :, :3, :7] = features[:, :, 2:, 1:]
    warped = run(model, features=features, flow=flow)
    np.testing.assert_allclose(warped, wanted, atol=TOLERANCES["grid_position"].value)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (4, 7)])
def test_lower_cost_volume_agrees_with_the_definition(size):
    node = helper.make_node("CostVolume", ["first", "second"], ["volume"], domain=OPAQUE_DOMAIN)
    shapes = {"first": ["N", 6, "H", "W"], "second": ["N", 6, "H", "W"]}
    model = lower_cost_volume(model_of([node], shapes, {"volume": None}))
    assert types(model).count("Transpose") == 3
    first, second = normal(2, 6, *size), normal(2, 6, *size)
    height, width = size
    padded = np.pad(second, ((0, 0), (0, 0), (4, 4), (4, 4)))
    wanted = [
        (first * padded[:, :, dy : dy + height, dx : dx + width]).mean(axis=1)
        for dy in range(9)
        for dx in range(9)
    ]
    volume = run(model, first=first, second=second)
    np.testing.assert_allclose(volume, np.stack(wanted, axis=1), atol=TOLERANCES["layer_float32"].value)


def test_fuse_conv_bias_takes_the_weight_and_leaves_other_sums():
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["a", "bias"], ["b"]),
        helper.make_node("Conv", ["b", "kernel2"], ["c"]),
        helper.make_node("Add", ["c", "x"], ["y"]),
    ]
    inputs = {"x": [1, 4, 4, 4], "kernel": [4, 4, 3, 3], "bias": [4], "kernel2": [4, 4, 1, 1]}
    fused = fuse_conv_bias(model_of(nodes, inputs, {"y": None}), {"kernel", "bias", "kernel2"})
    assert types(fused) == ["Conv", "Conv", "Add"]
    assert list(fused.graph.node[0].input) == ["x", "kernel", "bias"]
    values = {name: normal(*shape) for name, shape in inputs.items()}
    # The bias belongs to the channels, whatever a bare Add of it would have meant.
    explicit = model_of(nodes, {**inputs, "bias": [4, 1, 1]}, {"y": None})
    wanted = run(explicit, **{**values, "bias": values["bias"].reshape(4, 1, 1)})
    np.testing.assert_allclose(run(fused, **values), wanted, atol=TOLERANCES["small_graph"].value)


def test_permute_dense_moves_the_transpose_into_the_weights():
    nodes = [
        helper.make_node("Conv", ["x", "kernel_oihw"], ["maps"]),
        helper.make_node("Transpose", ["kernel"], ["kernel_oihw"], perm=[3, 2, 0, 1]),
        helper.make_node("MaxPool", ["maps"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Transpose", ["pooled"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["last", "flat"], ["vector"]),
        helper.make_node("MatMul", ["vector", "dense"], ["y"]),
    ]
    nodes = [nodes[1], nodes[0], *nodes[2:]]
    inputs = {"x": ["N", 3, 4, 6], "kernel": [1, 1, 3, 5], "dense": [30, 7]}
    before = model_of(nodes, inputs, {"y": None}, {"flat": np.array([-1, 30])})
    after = permute_dense(before, {"kernel", "dense"})
    values = {"x": normal(2, 3, 4, 6), "kernel": normal(1, 1, 3, 5), "dense": normal(30, 7)}
    folded = drop_unused(fold_weight_chains(after, {"kernel", "dense"}))
    assert "Transpose" not in types(folded)
    recipe = json.loads({p.key: p.value for p in folded.metadata_props}[RECIPES_KEY])["dense"]
    assert recipe == {
        "shape": [30, 7],
        "steps": [["reshape", [6, 5, 7]], ["transpose", [1, 0, 2]], ["reshape", [30, 7]]],
    }
    wanted = run(before, **values)
    np.testing.assert_allclose(run(after, **values), wanted, atol=TOLERANCES["small_graph"].value)


def test_permute_dense_leaves_a_transpose_that_is_not_flattened():
    nodes = [helper.make_node("Transpose", ["x"], ["y"], perm=[0, 2, 3, 1])]
    model = model_of(nodes, {"x": [1, 2, 3, 4]}, {"y": None})
    assert permute_dense(model, set()) == model


def test_fold_weight_chains_gives_the_shape_its_consumer_wants():
    nodes = [
        helper.make_node("Reshape", ["bias", "wide"], ["bias4"]),
        helper.make_node("Squeeze", ["bias4"], ["bias1"]),
        helper.make_node("Transpose", ["kernel"], ["kernel_oihw"], perm=[3, 2, 0, 1]),
        helper.make_node("Conv", ["x", "kernel_oihw", "bias1"], ["y"]),
    ]
    inputs = {"x": [1, 3, 4, 4], "kernel": [1, 2, 3, 5], "bias": [5]}
    model = model_of(nodes, inputs, {"y": None}, {"wide": np.array([1, 5, 1, 1])})
    folded = drop_unused(fold_weight_chains(model, {"kernel", "bias"}))
    assert types(folded) == ["Conv"]
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in folded.graph.input}
    assert shapes == {"x": [1, 3, 4, 4], "kernel": [5, 3, 1, 2], "bias": [5]}


@pytest.mark.parametrize("following", ["Identity", "Reshape", "back"])
def test_fold_weight_chains_keeps_a_reshape_that_a_no_op_follows(following):
    last = {
        "Identity": helper.make_node("Identity", ["column"], ["last"]),
        "Reshape": helper.make_node("Reshape", ["column", "as_column"], ["last"]),
        "back": helper.make_node("Reshape", ["column", "as_row"], ["last"]),
    }[following]
    nodes = [
        helper.make_node("Reshape", ["w", "as_column"], ["column"]),
        last,
        helper.make_node("Add", ["x", "last"], ["y"]),
    ]
    sizes = {"as_column": np.array([3, 1]), "as_row": np.array([3])}
    model = model_of(nodes, {"x": [3, 3], "w": [3]}, {"y": [3, 3]}, sizes)
    folded = drop_unused(fold_weight_chains(model, {"w"}))
    assert types(folded) == ["Add"]
    recipe = json.loads({p.key: p.value for p in folded.metadata_props}[RECIPES_KEY])["w"]
    steps = [] if following == "back" else [["reshape", [3, 1]]]
    assert recipe == {"shape": [3], "steps": steps}
    x, w = normal(3, 3), normal(3)
    wanted = run(model, x=x, w=w)
    as_recipe_says = w.reshape(steps[-1][1] if steps else 3)
    np.testing.assert_array_equal(run(folded, x=x, w=as_recipe_says), wanted)


def test_fold_weight_chains_refuses_a_weight_wanted_in_two_forms():
    nodes = [
        helper.make_node("Transpose", ["w"], ["t"], perm=[1, 0]),
        helper.make_node("MatMul", ["w", "t"], ["y"]),
    ]
    with pytest.raises(ValueError, match="several forms"):
        fold_weight_chains(model_of(nodes, {"w": [2, 2]}, {"y": None}), {"w"})


@pytest.mark.parametrize(
    ("shape", "axes", "keepdims"),
    [
        ((5, 6, 8, 8), [1, 2, 3], 1),
        ((5, 6, 1, 1), [1], 1),
        ((5, 37), [1], 0),
        ((5, 1, 4, 6), [2, 3], 0),
        ((5, 6, 1, 1), [-3], 0),
    ],
    ids=["image", "channels", "row", "one channel", "one pixel"],
)
def test_pool_means_does_not_depend_on_the_batch(shape, axes, keepdims):
    node = helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=keepdims)
    model = model_of([node], {"x": ["N", *shape[1:]]}, {"y": None}, {"axes": np.array(axes)})
    pooled = pool_means(model)
    assert "ReduceMean" not in types(pooled)
    x = normal(*shape)
    together = run(pooled, x=x)
    wanted = run(model, x=x)
    assert together.shape == wanted.shape
    np.testing.assert_allclose(together, wanted, atol=TOLERANCES["small_graph"].value)
    alone = np.concatenate([run(pooled, x=x[index : index + 1]) for index in range(len(x))])
    np.testing.assert_array_equal(alone, together)


def test_pool_means_leaves_means_within_an_image():
    node = helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=1)
    model = model_of([node], {"x": ["N", 3, 4, 4]}, {"y": None}, {"axes": np.array([2, 3])})
    assert pool_means(model) == model


def test_drop_unused_keeps_one_of_equal_constants_and_orders_by_structure():
    nodes = [
        helper.make_node("Add", ["x", "c"], ["dead"]),
        helper.make_node("Mul", ["x", "b"], ["right"]),
        helper.make_node("Add", ["x", "a"], ["left"]),
        helper.make_node("Sub", ["left", "right"], ["y"]),
    ]
    constants = {"a": np.float32([2]), "b": np.float32([2]), "c": np.float32([3])}
    model = drop_unused(model_of(nodes, {"x": [1]}, {"y": None}, constants))
    assert types(model) == ["Add", "Mul", "Sub"]
    assert [tensor.name for tensor in model.graph.initializer] == ["a"]
    assert [item.domain for item in model.opset_import] == [""]


def branching(then_node):
    """y = (yes ? then_node : x) - 2, where the branches read what is made and stored outside them."""
    flat = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("then", "else")]
    branches = [
        helper.make_graph([then_node], "then_branch", [], flat[:1]),
        helper.make_graph([helper.make_node("Identity", ["x"], ["else"])], "else_branch", [], flat[1:]),
    ]
    nodes = [
        helper.make_node("Neg", ["x"], ["negative"]),
        helper.make_node("If", ["yes"], ["chosen"], then_branch=branches[0], else_branch=branches[1]),
        helper.make_node("Sub", ["chosen", "equal"], ["y"]),
    ]
    constants = {"equal": np.float32([2]), "two": np.float32([2]), "yes": np.array(True)}
    return model_of(nodes, {"x": [1]}, {"y": [1]}, constants)


def test_drop_unused_keeps_what_a_branch_reads():
    model = branching(helper.make_node("Mul", ["negative", "two"], ["then"]))
    kept = drop_unused(model)
    assert types(kept) == ["Neg", "If", "Sub"]
    assert {tensor.name for tensor in kept.graph.initializer} == {"two", "yes"}
    assert run(kept, x=np.float32([5])).tolist() == [-12]


def test_drop_unused_refuses_in_a_branch_what_no_pass_has_lowered():
    model = branching(helper.make_node("Warp", ["negative", "two"], ["then"], domain=OPAQUE_DOMAIN))
    with pytest.raises(ValueError, match=r"flowtell\.opaque::Warp"):
        drop_unused(model)


def test_drop_unused_refuses_what_no_pass_has_lowered():
    node = helper.make_node("Warp", ["x", "x"], ["y"], domain=OPAQUE_DOMAIN)
    with pytest.raises(ValueError, match=r"flowtell\.opaque::Warp"):
        drop_unused(model_of([node], {"x": [1]}, {"y": None}))


def test_shorten_names_keeps_what_a_reader_recognises():
    first = "detector_1/decoder_2_1/conv_0_1/conv_1/BiasAdd:0"
    nodes = [
        helper.make_node("Abs", ["x"], [first], name="long"),
        helper.make_node("Neg", [first], ["detector_1/decoder_2_1/conv_0_1/LeakyRelu__12:0"]),
        helper.make_node("Add", ["detector_1/decoder_2_1/conv_0_1/LeakyRelu__12:0", "const__7"], ["y"]),
    ]
    model = shorten_names(model_of(nodes, {"x": [1]}, {"y": [1]}, {"const__7": np.float32([1])}))
    names = [list(node.output) for node in model.graph.node]
    assert names == [["decoder_2/conv_0"], ["decoder_2/conv_0.1"], ["y"]]
    assert [tensor.name for tensor in model.graph.initializer] == ["constant"]
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize("apply", [lower_warp, lower_cost_volume, pool_means, drop_unused, shorten_names])
def test_passes_do_not_change_their_argument(apply):
    nodes = [
        helper.make_node("Abs", ["x"], ["unused"]),
        helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=1),
    ]
    model = model_of(nodes, {"x": ["N", 3, 4, 4]}, {"y": None}, {"axes": np.array([1, 2, 3])})
    before = model.SerializeToString()
    apply(model)
    assert model.SerializeToString() == before
