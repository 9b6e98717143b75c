"""The passes that change what a graph computes in, each on the smallest graph that shows the pattern."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from tolerances import TOLERANCES

from flowtell import InputError
from flowtell._cpu_features import has_vnni
from flowtell.export.blocks import node_blocks
from flowtell.export.calibration import activation_scales, session_of, with_outputs
from flowtell.export.graphs import detector_graph
from flowtell.export.passes.halve import halve
from flowtell.export.passes.narrow_floats import BFLOAT16, FLOAT16
from flowtell.export.passes.quantise import quantise, quantised_sources
from flowtell.export.passes.round_halves import round_halves
from flowtell.export.passes.widen_weights import widen_weights
from flowtell.export.precision import half_detector
from flowtell.export.storage import stored_weights
from flowtell.export.tiny import tiny_models


def model_of(nodes, inputs, outputs, opset=18, **constants):
    """A model of float32 values; inputs and outputs are name to shape."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


def run(model, **inputs):
    onnx.checker.check_model(model, full_check=True)
    return session_of(model).run(None, inputs)


def ops(model):
    return [node.op_type for node in model.graph.node]


def constant(model, name):
    return numpy_helper.to_array(next(tensor for tensor in model.graph.initializer if tensor.name == name))


@pytest.fixture
def conv_relu_conv():
    """conv -> relu -> pool -> conv on [1, 1, 8, 8], kernels of unit size."""
    generator = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("MaxPool", ["r1"], ["p1"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p1", "w2", "b2"], ["y"], pads=[1, 1, 1, 1]),
    ]
    return model_of(
        nodes,
        {"x": ["N", 1, 8, 8]},
        {"y": ["N", 3, 4, 4]},
        w1=generator.normal(size=(4, 1, 3, 3)).astype(np.float32),
        b1=np.zeros(4, np.float32),
        w2=(generator.normal(size=(3, 4, 3, 3)) * [[[[1]]], [[[10]]], [[[0]]]]).astype(np.float32),
        b2=np.ones(3, np.float32),
    )


# halve


def test_chosen_nodes_compute_in_float16_and_the_others_do_not():
    nodes = [
        helper.make_node("Add", ["x", "one"], ["sum"]),
        helper.make_node("Mul", ["sum", "sum"], ["square"]),
        helper.make_node("Sub", ["square", "one"], ["y"]),
    ]
    model = model_of(nodes, {"x": [1]}, {"y": [1]}, one=np.ones(1, np.float32))
    halved = halve(model, lambda node: node.op_type == "Mul")
    assert ops(halved) == ["Add", "Cast", "Mul", "Cast", "Sub"]
    x = np.array([1 / 3], np.float32)
    half = np.float16(np.float32(1) + x[0])
    # ONNX's own evaluator: ONNX Runtime's CPU provider takes the Casts out and computes in float32.
    assert ReferenceEvaluator(halved).run(None, {"x": x})[0] == np.float32(half * half) - np.float32(1)


def test_inputs_outputs_and_integers_keep_their_types():
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Reshape", ["x", "shape"], ["same"]),
        helper.make_node("Add", ["same", "one"], ["y"]),
    ]
    model = model_of(nodes, {"x": [2]}, {"y": [2]}, one=np.ones(1, np.float32))
    halved = halve(model, lambda node: True)
    assert halved.graph.input == model.graph.input
    assert halved.graph.output == model.graph.output
    assert run(halved, x=np.array([1, 2], np.float32))[0].tolist() == [2, 3]
    assert constant(halved, "one/half").dtype == np.float16
    assert "one" not in {tensor.name for tensor in halved.graph.initializer}


def test_nothing_chosen_changes_nothing(conv_relu_conv):
    assert ops(halve(conv_relu_conv, lambda node: False)) == ops(conv_relu_conv)


@pytest.mark.parametrize(("half", "slope"), [(FLOAT16, 0.0999755859375), (BFLOAT16, 0.10009765625)])
def test_a_slope_is_the_nearest_number_of_two_bytes(half, slope):
    nodes = [helper.make_node("LeakyRelu", ["x"], ["chosen"], alpha=0.1)]
    nodes += [helper.make_node("LeakyRelu", ["chosen"], ["y"], alpha=0.1)]
    halved = halve(model_of(nodes, {"x": [1]}, {"y": [1]}), lambda node: node.output[0] == "chosen", half)
    slopes = [node.attribute[0].f for node in halved.graph.node if node.op_type == "LeakyRelu"]
    assert slopes == [slope, pytest.approx(0.1)]


@pytest.mark.parametrize("half", [FLOAT16, BFLOAT16], ids=lambda half: str(half.dtype))
def test_a_resize_reads_its_scales_and_its_region_in_float32(half):
    """Sizes come of them, which two bytes would round; ONNX knows no scales but float32."""
    mode = {"coordinate_transformation_mode": "tf_crop_and_resize", "mode": "linear"}
    nodes = [helper.make_node("Resize", ["x", "region", "scales"], ["y"], **mode)]
    region = np.float32([0, 0, 0.1, 0.1, 1, 1, 0.9, 0.9])
    scales = np.float32([1, 1, 1.5, 1.5])
    model = model_of(nodes, {"x": [1, 1, 4, 4]}, {"y": list("NCHW")}, region=region, scales=scales, opset=22)
    halved = halve(model, lambda node: True, half)
    onnx.checker.check_model(halved, full_check=True)
    assert "Cast" in ops(halved)
    np.testing.assert_array_equal(constant(halved, "region"), region)
    np.testing.assert_array_equal(constant(halved, "scales"), scales)


def test_what_a_branch_reads_and_computes_stays_float32():
    flat = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("doubled", "as_it_is")]
    branches = [
        helper.make_graph([helper.make_node("Mul", ["negative", "two"], ["doubled"])], "then", [], flat[:1]),
        helper.make_graph([helper.make_node("Identity", ["x"], ["as_it_is"])], "else", [], flat[1:]),
    ]
    nodes = [
        helper.make_node("Neg", ["x"], ["negative"]),
        helper.make_node("If", ["yes"], ["chosen"], then_branch=branches[0], else_branch=branches[1]),
        helper.make_node("Add", ["chosen", "one"], ["y"]),
    ]
    constants = {"two": np.float32([2]), "one": np.float32([1]), "yes": np.array(True)}
    model = model_of(nodes, {"x": [1]}, {"y": [1]}, **constants)
    halved = halve(model, lambda node: True)
    assert ops(halved) == ["Cast", "Neg", "Cast", "If", "Cast", "Add", "Cast"]
    assert run(halved, x=np.float32([3]))[0].tolist() == [-5]


# round_halves


def half_adder(half=FLOAT16):
    nodes = [
        helper.make_node("Add", ["x", "tiny"], ["sum"]),
        helper.make_node("Mul", ["sum", "two"], ["y"]),
    ]
    model = model_of(nodes, {"x": ["N"]}, {"y": ["N"]}, tiny=np.float32([2**-12]), two=np.float32([2.0]))
    return halve(model, lambda node: True, half)


@pytest.mark.parametrize("half", [FLOAT16, BFLOAT16], ids=lambda half: str(half.dtype))
def test_every_half_value_is_rounded_to_the_nearest_half(half):
    x = np.random.default_rng(0).uniform(-100, 100, 1000).astype(np.float32)
    rounded = round_halves(half_adder(half))
    sums = (x.astype(half.dtype).astype(np.float32) + np.float32(2**-12)).astype(half.dtype)
    wanted = (sums.astype(np.float32) * 2).astype(half.dtype).astype(np.float32)
    np.testing.assert_array_equal(run(rounded, x=x)[0], wanted)
    types = {tensor.data_type for tensor in rounded.graph.initializer}
    assert half.element not in types


def test_what_overflows_in_float16_is_infinite():
    assert run(round_halves(half_adder()), x=np.array([40000, -40000], np.float32))[0].tolist() == [
        np.inf,
        -np.inf,
    ]


def test_bfloat16_has_the_range_of_float32():
    rounded = run(round_halves(half_adder(BFLOAT16)), x=np.array([2.0**100, -(2.0**100)], np.float32))[0]
    assert rounded.tolist() == [2.0**101, -(2.0**101)]


# quantise


def test_pairs_stand_around_chosen_convolutions_and_are_symmetric(conv_relu_conv):
    sources = quantised_sources(conv_relu_conv, lambda name: True)
    assert sources == ["x", "p1"] or sources == ["x", "r1"]
    quantised = quantise(conv_relu_conv, lambda name: True, dict.fromkeys(sources, 0.5))
    onnx.checker.check_model(quantised, full_check=True)
    zeros = [constant(quantised, node.input[2]) for node in quantised.graph.node if "Linear" in node.op_type]
    assert all(zero.dtype == np.int8 and not zero.any() for zero in zeros)
    for name in ("w1", "w2"):
        integers, scale = constant(quantised, f"{name}/int8"), constant(quantised, f"{name}/scale")
        kernel = constant(conv_relu_conv, name)
        widened = integers.astype(np.float32) * scale.reshape(-1, 1, 1, 1)
        assert integers.dtype == np.int8 and integers.min() >= -127
        assert scale.shape == (len(kernel),)
        step = np.abs(kernel).max(axis=(1, 2, 3), keepdims=True) / 127
        assert (np.abs(widened - kernel) <= 0.5001 * step).all()


def test_sums_are_exact_where_the_cpu_has_vnni(conv_relu_conv):
    """So that what keeps other CPUs from saturating need not be asked for there."""
    if not has_vnni():
        pytest.skip("this CPU has no VNNI")
    scales = dict.fromkeys(quantised_sources(conv_relu_conv, lambda name: True), 0.02)
    quantised = quantise(conv_relu_conv, lambda name: True, scales)
    careful = onnxruntime.SessionOptions()
    careful.add_session_config_entry("session.x64quantprecision", "1")
    data = quantised.SerializeToString()
    slow = onnxruntime.InferenceSession(data, careful, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).normal(size=(4, 1, 8, 8)).astype(np.float32)
    np.testing.assert_array_equal(run(quantised, x=x)[0], slow.run(None, {"x": x})[0])


def test_quantised_values_are_those_of_the_definition(conv_relu_conv):
    """With integers for pictures and kernels the quantised graph is exact."""
    model = onnx.ModelProto()
    model.CopyFrom(conv_relu_conv)
    for tensor in model.graph.initializer:
        if tensor.name.startswith("w"):
            whole = np.rint(numpy_helper.to_array(tensor))
            whole[:, 0, 0, 0] = 127  # so that each channel's scale is one
            tensor.CopyFrom(numpy_helper.from_array(whole.astype(np.float32), tensor.name))
    scales = dict.fromkeys(quantised_sources(model, lambda name: True), 1.0)
    x = np.random.default_rng(0).integers(0, 2, (1, 1, 8, 8)).astype(np.float32)
    values = session_of(with_outputs(model, ["r1"])).run(["r1"], {"x": x})[0]
    assert values.max() > 127, "something must be clipped"
    quantised = quantise(model, lambda name: True, scales)
    pooled = np.minimum(values, 127).reshape(1, 4, 4, 2, 4, 2).max(axis=(3, 5))
    second = model_of(
        [helper.make_node("Conv", ["p", "w", "b"], ["y"], pads=[1, 1, 1, 1])],
        {"p": [1, 4, 4, 4]},
        {"y": [1, 3, 4, 4]},
        w=constant(model, "w2"),
        b=constant(model, "b2"),
    )
    np.testing.assert_allclose(
        run(quantised, x=x)[0], run(second, p=pooled)[0], rtol=TOLERANCES["float32_rounding"].value
    )


def test_onnx_runtime_runs_the_convolutions_on_integers(conv_relu_conv, tmp_path):
    scales = dict.fromkeys(quantised_sources(conv_relu_conv, lambda name: True), 0.05)
    # The last convolution needs a pair after it, too: a second quantised layer reads it.
    quantised = quantise(conv_relu_conv, lambda name: True, scales)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    onnxruntime.InferenceSession(quantised.SerializeToString(), options, providers=["CPUExecutionProvider"])
    assert "QLinearConv" in ops(onnx.load(tmp_path / "optimised.onnx"))


def test_what_is_not_chosen_stays(conv_relu_conv):
    quantised = quantise(conv_relu_conv, lambda name: name == "w2", {"p1": 1.0, "r1": 1.0, "c1": 1.0})
    assert constant(quantised, "w1").dtype == np.float32
    with pytest.raises(KeyError):
        quantise(conv_relu_conv, lambda name: True, {})


# calibration


def test_a_scale_trades_rare_peaks_against_the_steps_of_all():
    model = model_of(
        [helper.make_node("Mul", ["clips", "one"], ["value"]), helper.make_node("Abs", ["value"], ["y"])],
        {"clips": ["N", "M"]},
        {"y": ["N", "M"]},
        one=np.ones(1, np.float32),
    )
    even = np.linspace(-1, 1, 10_001, dtype=np.float32)
    peaked = np.append(even, np.float32(4))
    (without, with_peak) = (activation_scales(model, ["value"], [x])["value"] for x in (even, peaked))
    assert without == pytest.approx(1 / 127, rel=TOLERANCES["calibrated_scale"].value)
    assert with_peak < 4 / 127
    with pytest.raises(InputError, match="no face clip"):
        activation_scales(model, ["value"], [])


# widen_weights


def test_widened_weights_are_what_the_storage_module_reads(tiny_graphs):
    stored = tiny_graphs["classifier"]
    wide = widen_weights(stored)
    onnx.checker.check_model(wide, full_check=True)
    kernel = constant(wide, "classifier/block1/conv1/kernel")
    wanted = stored_weights(stored)["classifier/block1/conv1/kernel"].transpose(3, 2, 0, 1)
    np.testing.assert_array_equal(kernel, wanted)
    flow = np.random.default_rng(0).normal(size=(2, 16, 16, 2)).astype(np.float32)
    np.testing.assert_array_equal(run(wide, flow=flow)[0], run(stored, flow=flow)[0])


def test_only_chosen_weights_are_widened(tiny_graphs):
    name = "classifier/block1/conv1/kernel"
    wide = widen_weights(tiny_graphs["classifier"], lambda value: value == name)
    names = {tensor.name for tensor in wide.graph.initializer}
    assert name in names
    assert "classifier/block1/conv2/kernel" not in names
    assert "classifier/block1/conv2/kernel/uint8" in names


# blocks


def test_nodes_are_told_by_their_layers(tiny_graphs):
    blocks = node_blocks(widen_weights(tiny_graphs["detector"]))
    assert blocks["decoder_3/head"] == "flow head 3"
    assert blocks["warp/Warp"] == "warp"
    assert blocks["classifier/block4/conv2.1"] == "classifier block 4"
    assert {f"pyramid level {level}" for level in range(1, 7)} <= set(blocks.values())
    assert "cost volume" in blocks.values()


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_a_residual_is_computed_in_float32(precision):
    derived = half_detector(detector_graph(tiny_models("uv_residual")), precision)
    graph = onnx.shape_inference.infer_shapes(derived).graph
    types = {value.name: value.type.tensor_type.elem_type for value in graph.value_info}
    named = [name for name, block in node_blocks(derived).items() if block == "residual"]
    assert len(named) > 5
    assert {types[name] for name in named} == {TensorProto.FLOAT}
