"""From a Keras model to an ONNX graph whose weights are still inputs, by way of a traced ``tf.function``.

Three things make the result small and quick to handle:

* the weights enter as arguments, not as constants: tf2onnx then converts structure only (5 s for VGG16,
  against 58 s with its constants), each weight keeps its name, and the passes that follow never copy a
  megabyte;
* the model is built ``channels_first`` and only traced, never run, so that convolutions come out in ONNX's
  own layout with no transposes around them (TensorFlow on a CPU could not even run it);
* ``Warp``, ``CostVolume`` and ``LSTM`` are traced as one opaque node each, which the passes ``lower_*``
  write in ONNX operators: TensorFlow's spelling of them would become chains of GatherND, or a loop.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import onnx
import tensorflow as tf
import tf2onnx

from flowtell import InputError
from flowtell.export._graph_builder import IR_VERSION, OPSET, PRODUCER
from flowtell.export.passes import COST_VOLUME_OP, LSTM_OP, OPAQUE_DOMAIN, WARP_OP


def require_tensorflow() -> None:
    """Do nothing where Keras runs on TensorFlow, which graphs are traced with.

    Raises:
        InputError: it runs on another backend.
    """
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise InputError(
            f"graphs are traced with TensorFlow, but Keras runs on '{backend}': "
            "unset KERAS_BACKEND or set it to tensorflow"
        )


def trace(
    function: Callable[..., Any], inputs: Sequence[tf.TensorSpec], weights: Sequence[keras.Variable]
) -> onnx.ModelProto:
    """Convert a function of tensors to ONNX.

    Args:
        function: takes the inputs, returns a tensor or a dict of tensors (whose keys name the outputs).
        inputs: the named signature.
        weights: every Keras variable that the function reads.

    Returns:
        A graph whose inputs are ``inputs`` followed by the weights under their Keras paths, in the order
        given. ``Warp``, ``CostVolume`` and ``LSTM`` stand in the domain ``OPAQUE_DOMAIN``.

    Raises:
        InputError: Keras does not run on TensorFlow.
    """
    require_tensorflow()
    specs = [
        tf.TensorSpec(weight.shape, tf.float32, name=f"weight_{index}")
        for index, weight in enumerate(weights)
    ]

    @tf.function(autograph=False)
    def with_weights(values: Sequence[tf.Tensor], variables: Sequence[tf.Tensor]) -> Any:
        with keras.StatelessScope(state_mapping=list(zip(weights, variables, strict=True))):
            return function(*values)

    with _quiet_tf2onnx():
        model, _ = tf2onnx.convert.from_function(
            with_weights,
            [list(inputs), specs],
            opset=OPSET,
            custom_op_handlers={"PyFunc": (_keep_opaque, [])},
        )
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = PRODUCER, ""
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", OPSET))
    model.opset_import.append(onnx.helper.make_opsetid(OPAQUE_DOMAIN, 1))
    _rename_inputs(model.graph, {spec.name: weight.path for spec, weight in zip(specs, weights, strict=True)})
    return model


def make_opaque(network: keras.Model) -> None:
    """Make a ``channels_first`` PWC-Net emit warps and cost volumes as opaque nodes, for tracing only."""
    channels = (2 * network.cost_volume.max_displacement + 1) ** 2

    def warp(features: tf.Tensor, flow: tf.Tensor, data_format: str) -> tf.Tensor:
        return _opaque(WARP_OP, [features, flow], features.shape)

    def cost_volume(features1: tf.Tensor, features2: tf.Tensor) -> tf.Tensor:
        batch, _, height, width = features1.shape
        return _opaque(COST_VOLUME_OP, [features1, features2], (batch, channels, height, width))

    network.warp.implementation = warp
    network.cost_volume.call = cost_volume


def make_lstm_opaque(clip_head: keras.Model) -> None:
    """Make a temporal head emit its LSTM as one opaque node, for tracing only."""
    units = clip_head.lstm.units

    def lstm(sequence: tf.Tensor, *weights: keras.Variable) -> tf.Tensor:
        values = [tf.convert_to_tensor(weight) for weight in weights]
        return _opaque(LSTM_OP, [sequence, *values], (None, units))

    clip_head.lstm.implementation = lstm


def _opaque(op_type: str, inputs: Sequence[tf.Tensor], shape: Sequence[int | None]) -> tf.Tensor:
    result = tf.numpy_function(lambda first, *rest: first, list(inputs), tf.float32, name=op_type)
    result.set_shape(shape)
    # tf2onnx takes shapes from the operators, not from set_shape.
    return tf.ensure_shape(result, shape)


def _keep_opaque(context: Any, node: Any, name: str, args: Any) -> None:
    scope = node.name.rsplit("/", 1)[-1]
    node.type = next(op for op in (WARP_OP, COST_VOLUME_OP, LSTM_OP) if scope.startswith(op))
    for attribute in list(node.attr):
        del node.attr[attribute]
    node.domain = OPAQUE_DOMAIN


@contextmanager
def _quiet_tf2onnx() -> Iterator[None]:
    """Hold back tf2onnx's notes that it does not know the shape of an opaque node."""
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _rename_inputs(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    for value in graph.input:
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = names.get(name, name)
