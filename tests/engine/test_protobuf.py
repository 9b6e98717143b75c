"""The walk over ONNX bytes sees what `onnx` wrote, wherever it hides, and never trips over hostile bytes."""

from __future__ import annotations

import random
import tracemalloc

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from flowtell import _protobuf
from flowtell._protobuf import MalformedGraphError, graph_facts_from_bytes


def varint(value: int) -> bytes:
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def field(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def add_node(domain: str = "") -> onnx.NodeProto:
    return helper.make_node("Add", ["x", "x"], ["y"], domain=domain)


def model_of(*nodes: onnx.NodeProto, **kwargs: object) -> onnx.ModelProto:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph(nodes, "g", [value], [])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10, **kwargs)


def test_sees_versions_and_domains_of_a_real_graph(motion_detector):
    facts = graph_facts_from_bytes(motion_detector.SerializeToString())
    assert facts.ir_versions == {10}
    assert facts.opset_versions == {18}
    assert facts.domains == {""}
    assert facts.external_tensors == ()


def test_sees_a_domain_in_a_subgraph_in_a_subgraph():
    deep = add_node("com.evil")
    for _ in range(2):
        body = helper.make_graph([deep], "body", [], [])
        deep = helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=body)
    assert "com.evil" in graph_facts_from_bytes(model_of(deep).SerializeToString()).domains


def test_sees_a_domain_and_an_opset_in_a_local_function():
    function = helper.make_function(
        "local", "f", ["x"], ["y"], [add_node("com.evil")], [helper.make_opsetid("com.other", 3)]
    )
    facts = graph_facts_from_bytes(model_of(add_node(), functions=[function]).SerializeToString())
    assert facts.domains >= {"local", "com.evil", "com.other"}
    assert 3 in facts.opset_versions


@pytest.mark.parametrize("place", ["initializer", "attribute", "sparse", "training"])
def test_sees_external_data(place):
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "weights")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    model = model_of(add_node())
    if place == "initializer":
        model.graph.initializer.append(tensor)
    elif place == "attribute":
        model.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))
    elif place == "sparse":
        model.graph.sparse_initializer.add().values.CopyFrom(tensor)
    else:
        model.training_info.add().initialization.initializer.append(tensor)
    assert graph_facts_from_bytes(model.SerializeToString()).external_tensors == ("weights",)


def test_later_occurrence_of_a_field_hides_nothing():
    hidden = field(7, field(1, field(7, b"com.evil")))
    data = model_of(add_node()).SerializeToString() + hidden + varint(1 << 3) + varint(99)
    facts = graph_facts_from_bytes(data)
    assert facts.domains == {"", "com.evil"}
    assert facts.ir_versions == {10, 99}


@pytest.mark.parametrize("bits", [1 << 32, 1 << 34, 1 << 40, 1 << 63, 1 << 69])
def test_refuses_keys_of_which_parsers_drop_bits(bits):
    """ONNX's own parser takes the low 32 bits: this domain of a node would look like an unknown field."""
    node = varint(7 << 3 | 2 | bits) + b"\x08com.evil"
    data = model_of(add_node()).SerializeToString() + field(7, field(1, node))
    with pytest.raises(MalformedGraphError, match="a field number of more than 29 bits"):
        graph_facts_from_bytes(data)


def test_refuses_nesting_beyond_its_limit_without_recursion():
    payload = b""
    for _ in range(20_000):
        payload = field(1, field(5, field(6, payload)))[:200_000]
    with pytest.raises(MalformedGraphError):
        graph_facts_from_bytes(b"\x08\x0a" + field(7, payload))
    nested = b""
    for _ in range(_protobuf.MAX_DEPTH):
        nested = field(1, field(5, field(6, nested)))
    with pytest.raises(MalformedGraphError, match="nested deeper"):
        graph_facts_from_bytes(b"\x08\x0a" + field(7, nested))


@pytest.mark.parametrize(
    "many", [field(7, field(1, b"")), varint(15 << 3) + b"\0"], ids=["messages", "numbers that mean nothing"]
)
def test_refuses_more_fields_than_its_limit(monkeypatch, many):
    monkeypatch.setattr(_protobuf, "MAX_FIELDS", 50)
    data = model_of(add_node()).SerializeToString()
    graph_facts_from_bytes(data)
    with pytest.raises(MalformedGraphError, match="more than 50 fields"):
        graph_facts_from_bytes(data + many * 50)


def peak_bytes(data):
    """Return what the walk over `data` takes at most, and what it says."""
    tracemalloc.start()
    try:
        said = graph_facts_from_bytes(data)
    except MalformedGraphError as error:
        said = str(error)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, said


def test_an_import_of_many_domains_and_versions_is_not_multiplied():
    opset = b"".join(field(1, b"d%d" % n) + varint(2 << 3) + varint(n) for n in range(1000))
    data = model_of(add_node()).SerializeToString() + field(8, opset)
    peak, facts = peak_bytes(data)
    assert facts.domains >= {"d0", "d999"}
    assert facts.opset_versions >= {18, 999}
    assert peak < 100 * len(data)


def test_dimensions_are_counted_as_they_are_read():
    ones = field(7, field(5, field(1, b"\1" * 1_000_000)))
    peak, said = peak_bytes(model_of(add_node()).SerializeToString() + ones)
    assert said == "a tensor of more than 64 dimensions"
    assert peak < 100_000


def test_a_long_name_is_cut_between_characters():
    facts = graph_facts_from_bytes(model_of(add_node("é" * 300)).SerializeToString())
    assert "é" * 200 + "..." in facts.domains


@pytest.mark.parametrize(
    ("dims", "packed"), [([1 << 20, 1 << 20], False), ([1 << 20, 1 << 20], True), ([-1], False)]
)
def test_refuses_a_tensor_of_absurd_size(dims, packed):
    encoded = [varint(dim % (1 << 64)) for dim in dims]
    payload = field(1, b"".join(encoded)) if packed else b"".join(varint(1 << 3) + dim for dim in encoded)
    data = model_of(add_node()).SerializeToString() + field(7, field(5, payload))
    with pytest.raises(MalformedGraphError, match="a tensor of more than"):
        graph_facts_from_bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\x01",
        b"\x08",
        b"\x08" + b"\xff" * 11,
        b"\x0b",
        b"\x0a\x7f",
        b"\x09\x00",
        b"\x38\x01",
        b"\x08\x0a" + field(7, field(1, field(7, b"\xff\xfe"))),
        b"\x08\x0a" + field(7, field(1, b"\x38\x01")),
        b"\x0a\x01\x00" + field(7, b""),
        b"\x08\x0a" + field(7, field(5, b"\x0d\x00\x00\x00\x00")),
        b"#!/usr/bin/env python\n" * 40,
    ],
)
def test_refuses_what_is_no_model(data):
    with pytest.raises(MalformedGraphError):
        graph_facts_from_bytes(data)


def test_damage_anywhere_is_refused_or_read_but_never_trips_it(motion_detector):
    data = motion_detector.SerializeToString()
    random.seed(20)
    for _ in range(300):
        damaged = bytearray(data[: random.randrange(1, len(data) + 1)])
        for _ in range(random.randrange(3)):
            damaged[random.randrange(len(damaged))] = random.randrange(256)
        try:
            facts = graph_facts_from_bytes(bytes(damaged))
        except MalformedGraphError:
            continue
        assert facts.ir_versions
