"""Graphs and models of the tiny bundle, exported once for all tests of the export."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest

from flowtell.export.graphs import classifier_graph, detector_graph, flow_graph
from flowtell.export.tiny import tiny_models


@pytest.fixture(scope="session")
def models():
    """The tiny Keras models, colour wheel."""
    return tiny_models()


@pytest.fixture(scope="session")
def tiny_graphs(models):
    """Name to ONNX model: detector, flow and classifier of the tiny models, stored in every way there is."""
    return {
        "detector": detector_graph(models, every_storage),
        "flow": flow_graph(models, every_storage),
        "classifier": classifier_graph(models, every_storage),
    }


def every_storage(path, weight):
    """Choose as for a bundle of full size, whose classifier has kernels large enough for int8."""
    if weight.ndim == 1:
        return "fp32"
    return "int8" if path.startswith("classifier/") else "fp16"
