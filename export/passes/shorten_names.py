"""TensorFlow's scopes become names that a reader of a profile recognises."""

from __future__ import annotations

import re
from collections import Counter

import onnx

from flowtell.export.passes._graph import copied

# tf2onnx, and Keras and TensorFlow before it, append these to names that are already taken.
_COUNTER = re.compile(r"(_\d+)?(__\d+)?$")
# Scopes that say nothing inside one graph, and the operators that the node's own type repeats.
_SILENT = {"BiasAdd", "LeakyRelu", "Relu", "conv", "convolution", "detector", "pwcnet"}


def shorten_names(model: onnx.ModelProto) -> onnx.ModelProto:
    """Rename every inner value and constant, and name every node after its first output.

    ``detector_1/decoder_2_1/conv_0_1/conv_1/BiasAdd:0`` becomes ``decoder_2/conv_0``, the next value of that
    scope ``decoder_2/conv_0.1``. Inputs and outputs of the graph keep their names.
    """
    model = copied(model)
    graph = model.graph
    fixed = {value.name for value in [*graph.input, *graph.output]} | {""}
    taken: Counter[str] = Counter()
    names: dict[str, str] = {}

    def rename(old: str, base: str) -> None:
        if old in fixed or old in names:
            return
        count = taken[base]
        taken[base] += 1
        names[old] = f"{base}.{count}" if count else base

    for initializer in graph.initializer:
        rename(initializer.name, "constant")
    for node in graph.node:
        for output in node.output:
            rename(output, _scope(output))
    for initializer in graph.initializer:
        initializer.name = names.get(initializer.name, initializer.name)
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = names.get(name, name)
        for index, name in enumerate(node.output):
            node.output[index] = names.get(name, name)
        node.name = ""
        node.doc_string = ""
    return model


def _scope(name: str) -> str:
    """Return what a TensorFlow name says, without what it repeats."""
    parts = name.split(":")[0].split("/")
    # The first part may be a scope that Keras numbered; a layer's own number, as in decoder_2, stays.
    cleaned = [_COUNTER.sub("", part) for part in parts]
    return "/".join(part for part in cleaned if part not in _SILENT) or "value"
