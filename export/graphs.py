"""The three graphs that come from Keras: ``detector.onnx``, ``flow.onnx``, ``classifier.onnx``."""

from __future__ import annotations

import json

import numpy as np
import onnx
import tensorflow as tf
from onnx import TensorProto, helper

from flowtell.export._graph_builder import GraphBuilder, tensor
from flowtell.export._trace import make_opaque, trace
from flowtell.export.passes import standard_passes
from flowtell.export.storage import StorageChoice, bind_weights, compact_storage
from flowtell.export.trained_models import MODEL_KEY, TrainedModels, weight_variables
from flowtell.training.models import (
    FLOW_DIVISOR,
    FlowImage,
    PWCNet,
    build_classifier,
    build_detector,
    build_flow_network,
)

__all__ = ["classifier_graph", "detector_graph", "flow_graph"]

# The network halves its input six times.
_SIZE_STEP_PX = 64
# Its flow has a quarter of its input's size.
_FLOW_STRIDE = 4


def detector_graph(models: TrainedModels, storage: StorageChoice = compact_storage) -> onnx.ModelProto:
    """Return ``detector.onnx``: face clips to logits and flow.

    ``clips`` is ``uint8 [B, T+1, S, S, 3]``, RGB; ``pair_logits`` ``float32 [B, T]``, ``clip_logit``
    ``float32 [B]``, calibration temperature applied; ``flow`` ``float32 [B, T, S/4, S/4, 2]`` in px of the
    crop.

    Args:
        models: what to export.
        storage: how each weight is stored.
    """
    settings = models.settings
    size = settings.crop_size
    network = _network_to_trace(models.network)
    classifier = build_classifier(models.classifier.config, "channels_first")
    detector = build_detector(network, classifier, settings.flow_encoding, size, settings.temperature)
    clips = tf.TensorSpec((None, None, size, size, 3), tf.uint8, name="clips")
    # Cast before anything else: TensorRT takes bytes at its inputs, but computes nothing on them, not even
    # Reshape.
    model = _traced(lambda values: detector(tf.cast(values, tf.float32)), [clips], network, classifier)
    quarter = size // _FLOW_STRIDE
    _declare(
        model,
        [tensor("clips", TensorProto.UINT8, ["B", "T_plus_1", size, size, 3])],
        [
            tensor("pair_logits", TensorProto.FLOAT, ["B", "T"]),
            tensor("clip_logit", TensorProto.FLOAT, ["B"]),
            tensor("flow", TensorProto.FLOAT, ["B", "T", quarter, quarter, 2]),
        ],
    )
    return _finished(model, "detector", models, storage)


def flow_graph(models: TrainedModels, storage: StorageChoice = compact_storage) -> onnx.ModelProto:
    """Return ``flow.onnx``: two images of any size to the flow between them.

    ``image1`` and ``image2`` are ``uint8 [B, H, W, 3]``, RGB; ``flow`` is ``float32 [B, H, W, 2]`` in px. The
    images are padded to multiples of 64 by repeating their last row and column; the flow is enlarged
    bilinearly from a quarter of that size and cut back.
    """
    network = _network_to_trace(models.network)
    # Nothing in the traced part depends on the size it was traced at: Warp and CostVolume read theirs at run
    # time.
    side = _SIZE_STEP_PX
    planes = [tf.TensorSpec((None, 3, side, side), tf.float32, name=name) for name in ("planes1", "planes2")]
    model = _traced(
        lambda first, second: {"quarter_flow": network(first, second)[-1] * FLOW_DIVISOR}, planes, network
    )
    before, after = GraphBuilder("", prefix="input/"), GraphBuilder("", prefix="output/")
    height, width = before.size("image1", 1), before.size("image1", 2)
    missing = before.node("Concat", _missing(before, height), _missing(before, width), axis=0)
    pads = before.node("Concat", before.constant([0] * 6), missing, axis=0)
    for image, name in (("image1", "planes1"), ("image2", "planes2")):
        floats = before.node("Cast", image, to=TensorProto.FLOAT)
        before.node(
            "Pad", before.node("Transpose", floats, perm=[0, 3, 1, 2]), pads, outputs=[name], mode="edge"
        )
    scales = after.constant([1, 1, _FLOW_STRIDE, _FLOW_STRIDE], np.float32)
    full = after.node("Resize", "quarter_flow", "", scales, mode="linear")
    ends = after.node("Concat", height, width, axis=0)
    cut = after.node("Slice", full, after.constant([0, 0]), ends, after.constant([2, 3]))
    after.node("Transpose", cut, perm=[0, 2, 3, 1], outputs=["flow"])

    weights = [value for value in model.graph.input if value.name not in ("planes1", "planes2")]
    _declare(
        model,
        [tensor(name, TensorProto.UINT8, ["B", "H", "W", 3]) for name in ("image1", "image2")],
        [tensor("flow", TensorProto.FLOAT, ["B", "H", "W", 2])],
        weights,
    )
    nodes = [*before.nodes, *model.graph.node, *after.nodes]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)
    constants = {t.name: t for b in (before, after) for t in b.initializers.values()}
    for initializer in model.graph.initializer:
        constants.pop(initializer.name, None)
    model.graph.initializer.extend(constants.values())
    return _finished(model, "flow", models, storage)


def classifier_graph(models: TrainedModels, storage: StorageChoice = compact_storage) -> onnx.ModelProto:
    """Return ``classifier.onnx``: flow to the logits of pairs, calibration temperature applied.

    ``flow`` is ``float32 [N, S/4, S/4, 2]`` in px of the crop, ``logits`` ``float32 [N]``.
    """
    settings = models.settings
    quarter = settings.crop_size // _FLOW_STRIDE
    classifier = build_classifier(models.classifier.config, "channels_first")
    image = FlowImage(settings.flow_encoding, "channels_first")

    def logits(flow: tf.Tensor) -> dict[str, tf.Tensor]:
        planes = tf.transpose(flow, (0, 3, 1, 2))
        return {"logits": classifier(image(planes)) * (1.0 / settings.temperature)}

    flow = tf.TensorSpec((None, quarter, quarter, 2), tf.float32, name="flow")
    model = _traced(logits, [flow], classifier)
    _declare(
        model,
        [tensor("flow", TensorProto.FLOAT, ["N", quarter, quarter, 2])],
        [tensor("logits", TensorProto.FLOAT, ["N"])],
    )
    return _finished(model, "classifier", models, storage)


def _network_to_trace(network: PWCNet) -> PWCNet:
    copy = build_flow_network(network.config, "channels_first")
    make_opaque(copy)
    return copy


def _traced(function, inputs, *models) -> onnx.ModelProto:
    variables = weight_variables(*models)
    return standard_passes(trace(function, inputs, variables), {variable.path for variable in variables})


def _missing(b: GraphBuilder, length: str) -> str:
    """Return how much an ``int64 [1]`` length lacks to the next multiple of the size step."""
    step = b.constant([_SIZE_STEP_PX])
    steps = b.node("Div", b.node("Add", length, b.constant([_SIZE_STEP_PX - 1])), step)
    return b.node("Sub", b.node("Mul", steps, step), length)


def _declare(model, inputs, outputs, weights=None) -> None:
    """Give a graph its inputs and outputs, in this order and with these axis names; weight inputs follow."""
    names = {value.name for value in inputs}
    rest = [v for v in model.graph.input if v.name not in names] if weights is None else weights
    kept = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in rest]
    del model.graph.input[:]
    model.graph.input.extend([*inputs, *kept])
    del model.graph.output[:]
    model.graph.output.extend(outputs)


def _finished(
    model: onnx.ModelProto, name: str, models: TrainedModels, storage: StorageChoice
) -> onnx.ModelProto:
    model.graph.name = name
    model = bind_weights(model, models.weights(), storage)
    properties = {prop.key: prop.value for prop in model.metadata_props}
    helper.set_model_props(
        model, properties | {MODEL_KEY: json.dumps(models.to_dict(), separators=(",", ":"))}
    )
    onnx.checker.check_model(model, full_check=True)
    return model
