"""A detector whose clip logit comes from an LSTM: in ONNX Runtime, back in Keras, in TensorRT-RTX."""

from __future__ import annotations

import importlib.util
import platform

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, shape_inference
from tolerances import TOLERANCES

from flowtell.export.graphs import detector_graph
from flowtell.export.passes import LSTM_OP, OPAQUE_DOMAIN, lower_lstm
from flowtell.export.precision import derived_detector
from flowtell.export.tiny import CROP_SIZE, random_weights, tiny_models
from flowtell.export.trained_models import TrainedModels, models_from_graph
from flowtell.training.models import ClipHeadConfig, build_clip_head

CLIPS = np.random.default_rng(0).integers(0, 256, (2, 6, CROP_SIZE, CROP_SIZE, 3)).astype(np.uint8)


@pytest.fixture(scope="module", params=["colour_wheel", "uv_residual"])
def temporal_models(request):
    """The tiny models with a temporal head."""
    tiny = tiny_models(request.param)
    head = build_clip_head(ClipHeadConfig(units=6), tiny.classifier.hidden_width)
    models = TrainedModels(tiny.network, tiny.classifier, tiny.settings, head)
    models.assign(random_weights(models, 3))
    return models


@pytest.fixture(scope="module")
def graph(temporal_models):
    return detector_graph(temporal_models)


def run(model, **inputs):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, inputs), strict=True))


def test_the_graph_says_what_keras_says(temporal_models, graph):
    found = run(graph, clips=CLIPS)
    # The weights are compared as they are stored: small ones in fp16.
    want = models_from_graph(graph).detector()(CLIPS)
    for name in ("clip_logit", "pair_logits"):
        assert np.abs(found[name] - np.array(want[name])).max() <= TOLERANCES["small_graph"].value
    assert np.abs(found["clip_logit"] - found["pair_logits"].mean(1)).max() > 1e-3
    assert [node.op_type for node in graph.graph.node].count("LSTM") == 1
    assert {node.domain for node in graph.graph.node} == {""}


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_the_head_stays_in_float32(graph, precision):
    """It is the logit of a clip; and a state that is rounded at each step no gate would see."""
    derived = derived_detector(graph.SerializeToString(), precision, [])
    kinds = {
        value.name: value.type.tensor_type.elem_type
        for value in shape_inference.infer_shapes(derived).graph.value_info
    }
    (lstm,) = (node for node in derived.graph.node if node.op_type == "LSTM")
    after, found = set(lstm.output), []
    for node in derived.graph.node:
        if node is lstm or after & set(node.input):
            after |= set(node.output)
            found += [kinds.get(name, TensorProto.FLOAT) for name in node.output if name]
    assert len(found) >= 4
    assert set(found) == {TensorProto.FLOAT}


def test_the_head_comes_back_from_the_graph(temporal_models, graph):
    rebuilt = models_from_graph(graph)
    assert rebuilt.to_dict() == temporal_models.to_dict()
    for path, weight in temporal_models.weights().items():
        # fp16 keeps eleven bits
        assert np.abs(rebuilt.weights()[path] - weight).max() <= 2**-8 * max(1, np.abs(weight).max()), path


def test_pair_by_pair_is_the_whole_clip(temporal_models):
    detector = temporal_models.detector()
    whole, state = np.array(detector(CLIPS)["clip_logit"]), detector.initial_state(len(CLIPS))
    for t in range(CLIPS.shape[1] - 1):
        logit, state = detector.step(CLIPS[:, t : t + 2], state)
    assert np.abs(np.array(logit) - whole).max() <= TOLERANCES["streamed_logit"].value


def test_any_number_of_pairs_is_judged(graph):
    for pairs in (1, 3):
        assert run(graph, clips=CLIPS[:1, : pairs + 1])["clip_logit"].shape == (1,)


def test_lower_lstm_is_the_layer():
    head = build_clip_head(ClipHeadConfig(units=3), 4)
    names = ("kernel", "recurrent_kernel", "bias")
    weights = {name: np.asarray(getattr(head.lstm, name)) for name in names}
    sequence = np.random.default_rng(1).normal(size=(2, 5, 4)).astype(np.float32)
    inputs = {"sequence": sequence, **weights}
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, a.shape) for n, a in inputs.items()]
    node = helper.make_node(LSTM_OP, list(inputs), ["hidden"], domain=OPAQUE_DOMAIN)
    output = helper.make_tensor_value_info("hidden", TensorProto.FLOAT, (2, 3))
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(OPAQUE_DOMAIN, 1)]
    graph = helper.make_graph([node], "test", values, [output])
    lowered = lower_lstm(helper.make_model(graph, opset_imports=opsets, ir_version=10))
    del lowered.opset_import[1:]
    onnx.checker.check_model(lowered, full_check=True)
    difference = np.abs(run(lowered, **inputs)["hidden"] - np.array(head.lstm(sequence))).max()
    assert difference <= TOLERANCES["small_graph"].value


@pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx_bindings") is None,
    reason=f"tensorrt_rtx_cu13_bindings is not installed (it has no wheels for {platform.machine()}?)",
)
def test_tensorrt_rtx_builds_it(graph):
    import tensorrt_rtx_bindings as trt

    errors = []

    class Messages(trt.ILogger):
        def log(self, severity, message):
            if severity <= trt.ILogger.Severity.ERROR:
                errors.append(message)

    messages = Messages()
    builder = trt.Builder(messages)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, messages)
    assert parser.parse(graph.SerializeToString()), errors
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM86, 0)
    profile = builder.create_optimization_profile()
    shape = (CROP_SIZE, CROP_SIZE, 3)
    profile.set_shape("clips", (1, 2, *shape), (1, 17, *shape), (8, 17, *shape))
    config.add_optimization_profile(profile)
    assert builder.build_serialized_network(network, config) is not None, errors
    assert not errors
