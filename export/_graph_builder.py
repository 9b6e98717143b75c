"""A few lines over ``onnx.helper`` that make a hand-written graph read like the arithmetic it does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# ONNX Runtime 1.22, the oldest supported, refuses IR 11; Resize has `antialias` from opset 18 on.
OPSET = 18
IR_VERSION = 10
PRODUCER = "flowtell.export"


class GraphBuilder:
    """Collects nodes and constants; every method returns the name of the value it made.

    Args:
        name: the graph's name.
        prefix: what the names of its values start with, for nodes that go into an existing graph.
    """

    def __init__(self, name: str, prefix: str = "") -> None:
        self.name = name
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}

    def node(
        self, op_type: str, *inputs: str, outputs: Sequence[str] | None = None, **attributes: object
    ) -> str:
        """Append one node and return the name of its first output (an empty input name leaves it out)."""
        names = (
            list(outputs) if outputs is not None else [f"{self.prefix}{op_type.lower()}_{len(self.nodes)}"]
        )
        self.nodes.append(helper.make_node(op_type, list(inputs), names, **attributes))
        return names[0]

    def size(self, value: str, axis: int) -> str:
        """Return the length of one axis as ``int64 [1]``; a runtime folds it where that axis is static."""
        return self.node("Shape", value, start=axis, end=axis + 1)

    def round_half_up(self, value: str) -> str:
        """Round to whole levels; ONNX's own Round goes half to even, which no integer host would guess."""
        return self.node("Floor", self.node("Add", value, self.constant(0.5, np.float32)))

    def constant(self, value: object, dtype: type[np.generic] = np.int64, name: str | None = None) -> str:
        """Store an initialiser, once for equal values, and return its name."""
        array = np.asarray(value, dtype=dtype)
        if name is None:
            digest = "_".join(str(item) for item in array.ravel().tolist()).replace("-", "m")
            name = f"{array.dtype.name}{'x'.join(map(str, array.shape))}_{digest}"
        self.initializers.setdefault(name, numpy_helper.from_array(array, name))
        return name

    def model(
        self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]
    ) -> onnx.ModelProto:
        """Close the graph and check it.

        Raises:
            onnx.checker.ValidationError: the graph is not valid ONNX.
        """
        graph = helper.make_graph(
            self.nodes, self.name, list(inputs), list(outputs), list(self.initializers.values())
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name=PRODUCER,
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def tensor(name: str, dtype: int, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    """Describe a graph input or output; a string in ``shape`` is a dynamic axis."""
    return helper.make_tensor_value_info(name, dtype, list(shape))


def frame_input() -> onnx.ValueInfoProto:
    """Describe the input that all capture graphs share: one frame, ``uint8 [H, W, 3]``, RGB."""
    return tensor("frame", TensorProto.UINT8, ["H", "W", 3])


def save(model: onnx.ModelProto, path: Path) -> None:
    """Write a model as one file whose bytes depend on nothing but the model."""
    path.write_bytes(model.SerializeToString(deterministic=True))
