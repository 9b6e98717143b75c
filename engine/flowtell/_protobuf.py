"""Reads just enough of an ONNX file to see what it would make a runtime do, without `onnx`.

The wire format is that of Protocol Buffers (https://protobuf.dev/programming-guides/encoding/); field numbers
are those of `onnx.proto` (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). Weights are skipped, never
copied. The walk keeps its own stack, so that a deeply nested file cannot exhaust Python's.

Real parsers merge repeated occurrences of a single field. This one looks at every occurrence, so nothing can
hide behind a later one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ._errors import shortened

__all__ = ["GraphFacts", "MalformedGraphError", "graph_facts_from_bytes"]

MAX_DEPTH = 32
"""Levels of nesting: a body of an If in a Loop in a function in a model is 10; hostile files go deeper."""

MAX_FIELDS = 1_000_000
"""Fields walked in one file, messages included. The detector graph has eleven thousand; this bounds the time
and the memory spent."""

MAX_RANK = 64
"""Dimensions of one stored tensor: as many as NumPy has; graphs have up to 6."""

MAX_ELEMENTS = 1 << 28
"""Elements of one stored tensor: 1 GiB of float32. The largest layer of VGG16 as published, 25088x4096, has
1.03e8, or 39 % of that."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# message kind -> {field number: kind of the message inside}
_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "opset", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse_tensor"},
    "function": {7: "node", 9: "opset", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse_tensor",
        23: "sparse_tensor",
    },
    "sparse_tensor": {1: "tensor", 2: "tensor"},
    "tensor": {},
    "opset": {},
}
_DOMAINS = {"node": 7, "function": 10, "opset": 1}
_MODEL_IR_VERSION, _OPSET_VERSION = 1, 2
_TENSOR_DIMS, _TENSOR_EXTERNAL_DATA, _TENSOR_DATA_LOCATION, _TENSOR_NAME = 1, 13, 14, 8


class MalformedGraphError(ValueError):
    """The bytes are not a well-formed ONNX model, or pass one of this module's limits."""


@dataclass(frozen=True)
class GraphFacts:
    """What a loader needs to know about an ONNX file before it hands it to a runtime.

    Attributes:
        ir_versions: every IR version stated (one in a sane file).
        opset_versions: every imported version, of the model and of its local functions; 0 for none stated.
        domains: the operator domains of all nodes, local functions and imports, subgraphs included.
        external_tensors: names of tensors whose data lies outside the file.

    Names of more than 200 characters are cut.
    """

    ir_versions: frozenset[int]
    opset_versions: frozenset[int]
    domains: frozenset[str]
    external_tensors: tuple[str, ...]


def graph_facts_from_bytes(data: bytes) -> GraphFacts:
    """Walk the ONNX model in `data`.

    Raises:
        MalformedGraphError: for anything that is not a well-formed model within the limits of this module.
    """
    view = memoryview(data)
    ir_versions: set[int] = set()
    opset_versions: set[int] = set()
    domains: set[str] = set()
    external: list[str] = []
    stack: list[tuple[str, int, int, int]] = [("model", 0, len(data), 0)]
    fields = graphs = 0
    while stack:
        kind, start, end, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise MalformedGraphError(f"it is nested deeper than {MAX_DEPTH} levels")
        children = _CHILDREN[kind]
        graphs += kind == "graph"
        has_domain = has_version = is_external = False
        name, dims = "", list[int]()
        for field, wire, value, stop in _fields(view, start, end):
            fields += 1
            if fields > MAX_FIELDS:
                raise MalformedGraphError(f"it holds more than {MAX_FIELDS} fields")
            if field in children:
                if wire != _BYTES:
                    raise MalformedGraphError(f"field {field} of a {kind} is not a message")
                stack.append((children[field], value, stop, depth + 1))
            elif kind == "model" and field == _MODEL_IR_VERSION:
                ir_versions.add(_integer(wire, value))
            elif field == _DOMAINS.get(kind):
                domains.add(_text(view, wire, value, stop))
                has_domain = True
            elif kind == "opset" and field == _OPSET_VERSION:
                opset_versions.add(_integer(wire, value))
                has_version = True
            elif kind == "tensor":
                if field == _TENSOR_NAME:
                    name = _text(view, wire, value, stop)
                elif field == _TENSOR_DIMS:
                    _read_dims(view, wire, value, stop, dims)
                elif field == _TENSOR_EXTERNAL_DATA or (field == _TENSOR_DATA_LOCATION and value != 0):
                    is_external = True
        if kind in ("opset", "node") and not has_domain:
            domains.add("")
        if kind == "opset" and not has_version:
            opset_versions.add(0)
        if is_external:
            external.append(name)
    if not ir_versions or not graphs:
        raise MalformedGraphError("it has no IR version or no graph")
    return GraphFacts(frozenset(ir_versions), frozenset(opset_versions), frozenset(domains), tuple(external))


def _fields(view: memoryview, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (field number, wire type, value or payload start, payload end) of one message."""
    position = start
    while position < end:
        key, position = _varint(view, position, end)
        if key >> 32:
            # parsers drop these bits, and what looks unknown here would be another field there
            raise MalformedGraphError(f"a field number of more than 29 bits at byte {position}")
        field, wire = key >> 3, key & 7
        if field == 0:
            raise MalformedGraphError(f"field number 0 at byte {position}")
        if wire == _VARINT:
            value, position = _varint(view, position, end)
            yield field, wire, value, position
            continue
        if wire == _BYTES:
            length, position = _varint(view, position, end)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise MalformedGraphError(f"wire type {wire} at byte {position}")
        if length > end - position:
            raise MalformedGraphError(f"it ends inside a field at byte {position}")
        yield field, wire, position, position + length
        position += length


def _varint(view: memoryview, position: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= end:
            raise MalformedGraphError(f"it ends inside a number at byte {position}")
        byte = view[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise MalformedGraphError(f"a number of more than 10 bytes at byte {position}")


def _integer(wire: int, value: int) -> int:
    if wire != _VARINT:
        raise MalformedGraphError("a version is not an integer")
    return value


def _text(view: memoryview, wire: int, start: int, stop: int) -> str:
    if wire != _BYTES:
        raise MalformedGraphError("a name is not text")
    try:
        return shortened(str(view[start:stop], "utf-8"))
    except UnicodeDecodeError as error:
        raise MalformedGraphError(f"a name is not UTF-8 at byte {start}") from error


def _read_dims(view: memoryview, wire: int, value: int, stop: int, dims: list[int]) -> None:
    """Add one dimension (a varint) or several (packed into one field) to those of a tensor."""
    if wire == _VARINT:
        _add_dim(dims, value)
    elif wire == _BYTES:
        while value < stop:
            dim, value = _varint(view, value, stop)
            _add_dim(dims, dim)
    else:
        raise MalformedGraphError("a dimension is not an integer")


def _add_dim(dims: list[int], dim: int) -> None:
    dims.append(dim)
    if len(dims) > MAX_RANK:
        raise MalformedGraphError(f"a tensor of more than {MAX_RANK} dimensions")
    # a negative dimension arrives as 2**64 minus its size and fails here too
    if math.prod(dims) > MAX_ELEMENTS:
        raise MalformedGraphError(f"a tensor of more than {MAX_ELEMENTS} elements")
