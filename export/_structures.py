"""The structure of each graph that comes from Keras: everything but the weights, which are still inputs.

A structure follows from the models' settings alone, so a process traces it once, however often it exports it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import onnx
import tensorflow as tf
from onnx import TensorProto

from flowtell.export._graph_builder import GraphBuilder, tensor
from flowtell.export._trace import make_lstm_opaque, make_opaque, trace
from flowtell.export.passes import standard_passes
from flowtell.export.trained_models import JoinSettings, weight_variables
from flowtell.training.models import (
    FLOW_DIVISOR,
    ClassifierConfig,
    ClipHeadConfig,
    FlowImage,
    FlowNetworkConfig,
    PWCNet,
    build_classifier,
    build_clip_head,
    build_detector,
    build_flow_network,
    motion_channels,
)

__all__ = ["classifier_structure", "detector_structure", "flow_structure"]

# The network halves its input six times.
_SIZE_STEP_PX = 64
# Its flow has a quarter of its input's size.
_FLOW_STRIDE = 4
# Traces are small (a few hundred kB), but tests and sweeps over settings make many.
_KEPT = 8


@lru_cache(_KEPT)
def detector_structure(
    flow: FlowNetworkConfig,
    classifier: ClassifierConfig,
    settings: JoinSettings,
    clip_head: ClipHeadConfig | None = None,
) -> onnx.ModelProto:
    """Trace the fused detector; see `flowtell.export.graphs.detector_graph`."""
    size = settings.crop_size
    network = _network_to_trace(flow)
    judge = build_classifier(classifier, "channels_first")
    heads = []
    if clip_head is not None:
        heads = [build_clip_head(clip_head, judge.hidden_width)]
        make_lstm_opaque(heads[0])
    detector = build_detector(
        network, judge, settings.flow_encoding, size, settings.temperature, heads[0] if heads else None
    )
    clips = tf.TensorSpec((None, None, size, size, 3), tf.uint8, name="clips")
    # Cast before anything else: TensorRT takes bytes at its inputs but computes nothing on them, not even
    # a Reshape.
    model = _traced(lambda values: detector(tf.cast(values, tf.float32)), [clips], network, judge, *heads)
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
    model.graph.name = "detector"
    return model


@lru_cache(_KEPT)
def flow_structure(flow: FlowNetworkConfig) -> onnx.ModelProto:
    """Trace the flow network and wrap it for images of any size; see `flowtell.export.graphs.flow_graph`."""
    network = _network_to_trace(flow)
    # Nothing in the traced part depends on the size it was traced at: Warp and CostVolume read theirs when
    # they run.
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
    model.graph.name = "flow"
    return model


@lru_cache(_KEPT)
def classifier_structure(classifier: ClassifierConfig, settings: JoinSettings) -> onnx.ModelProto:
    """Trace the classifier on flow; see `flowtell.export.graphs.classifier_graph`."""
    quarter = settings.crop_size // _FLOW_STRIDE
    judge = build_classifier(classifier, "channels_first")
    image = FlowImage(settings.flow_encoding, "channels_first")

    def logits(flow: tf.Tensor) -> dict[str, tf.Tensor]:
        planes = tf.transpose(flow, (0, 3, 1, 2))
        return {"logits": judge(image(planes)) * (1.0 / settings.temperature)}

    channels = motion_channels(settings.flow_encoding)
    flow = tf.TensorSpec((None, quarter, quarter, channels), tf.float32, name="flow")
    model = _traced(logits, [flow], judge)
    _declare(
        model,
        [tensor("flow", TensorProto.FLOAT, ["N", quarter, quarter, channels])],
        [tensor("logits", TensorProto.FLOAT, ["N"])],
    )
    model.graph.name = "classifier"
    return model


def _network_to_trace(config: FlowNetworkConfig) -> PWCNet:
    network = build_flow_network(config, "channels_first")
    make_opaque(network)
    return network


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
