"""Weights stored in few bytes: what comes back, and that the graph computes with just that."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from tolerances import TOLERANCES

from flowtell import InputError
from flowtell.export.graphs import detector_graph
from flowtell.export.storage import bind_weights, compact_storage, float32_storage, stored_weights
from flowtell.export.trained_models import models_from_graph


def all_int8(path, weight):
    return "int8" if weight.ndim > 1 else "fp32"


def all_fp16(path, weight):
    return "fp16"


def test_float32_comes_back_bit_for_bit(models):
    back = stored_weights(detector_graph(models, float32_storage))
    wanted = models.weights()
    assert back.keys() == wanted.keys()
    for path, weight in wanted.items():
        np.testing.assert_array_equal(back[path], weight, err_msg=path)


def test_fp16_is_the_nearest_half(models):
    back = stored_weights(detector_graph(models, all_fp16))
    for path, weight in models.weights().items():
        np.testing.assert_array_equal(back[path], weight.astype(np.float16).astype(np.float32), err_msg=path)


def test_int8_is_within_half_a_step_of_each_output_channel(models):
    back = stored_weights(detector_graph(models, all_int8))
    for path, weight in models.weights().items():
        if weight.ndim == 1:
            continue
        # Keras keeps output channels last, but for transposed convolutions.
        axis = weight.ndim - 2 if "upsample" in path else weight.ndim - 1
        others = tuple(a for a in range(weight.ndim) if a != axis)
        step = np.abs(weight).max(axis=others, keepdims=True) / 127
        assert (np.abs(back[path] - weight) <= 0.5001 * step).all(), path
        largest = np.abs(back[path]).max(axis=others)
        wanted = np.abs(weight).max(axis=others)
        np.testing.assert_allclose(largest, wanted, rtol=TOLERANCES["float32_rounding"].value, err_msg=path)


@pytest.mark.parametrize("storage", [compact_storage, all_int8, all_fp16])
def test_runtime_computes_with_the_very_values_that_are_read_back(models, storage):
    stored = detector_graph(models, storage)
    rebuilt = models_from_graph(stored)
    widened = detector_graph(rebuilt, float32_storage)
    clips = np.random.default_rng(0).integers(0, 256, (1, 3, 64, 64, 3), dtype=np.uint8)
    outputs = []
    for model in (stored, widened):
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        outputs.append(session.run(["pair_logits", "flow"], {"clips": clips}))
    for ours, theirs in zip(*outputs, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_compact_storage_spends_its_bytes_where_they_matter():
    large, small = np.zeros((3, 3, 512, 512)), np.zeros((3, 3, 3, 64))
    assert compact_storage("classifier/block5/conv1/kernel", large) == "int8"
    assert compact_storage("classifier/block1/conv1/kernel", small) == "fp16"
    assert compact_storage("pwcnet/decoder_2/conv_0/kernel", large) == "fp16"
    assert compact_storage("classifier/block5/conv1/bias", large[0, 0, 0]) == "fp32"


def test_refuses_int8_for_a_bias_and_an_unknown_storage(models):
    with pytest.raises(ValueError, match="only kernels"):
        detector_graph(models, lambda path, weight: "int8")
    with pytest.raises(ValueError, match="stored as one of"):
        detector_graph(models, lambda path, weight: "fp8")


def test_refuses_graphs_of_other_origin():
    with pytest.raises(InputError, match="not written by"):
        stored_weights(onnx.ModelProto())
    with pytest.raises(InputError, match="not written by"):
        models_from_graph(onnx.ModelProto())


def test_a_graph_with_a_weight_removed_is_refused(models):
    model = detector_graph(models)
    kept = [t for t in model.graph.initializer if not t.name.startswith("classifier/logit/bias")]
    copies = [numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name) for tensor in kept]
    del model.graph.initializer[:]
    model.graph.initializer.extend(copies)
    with pytest.raises(InputError, match="classifier/logit/bias"):
        stored_weights(model)


def test_every_weight_must_be_given(models):
    from flowtell.export.passes import RECIPES_KEY

    model = onnx.ModelProto()
    onnx.helper.set_model_props(model, {RECIPES_KEY: '{"w": {"shape": [1], "steps": []}}'})
    with pytest.raises(KeyError, match="w"):
        bind_weights(model, {})
