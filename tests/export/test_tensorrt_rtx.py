"""TensorRT-RTX builds the graphs for a GPU of compute capability 8.6, on a machine without any."""

from __future__ import annotations

import importlib.util
import platform

import numpy as np
import pytest

if importlib.util.find_spec("tensorrt_rtx_bindings") is None:
    pytest.skip(
        f"tensorrt_rtx_cu13_bindings is not installed (it has no wheels for {platform.machine()}?)",
        allow_module_level=True,
    )

import tensorrt_rtx_bindings as trt

import flowtell
from flowtell._providers import computes_in
from flowtell.export.bundle import export_classifier, export_flow, keras_from_bundle
from flowtell.export.precision import DERIVED, derived_detector
from flowtell.export.tiny import CROP_SIZE
from flowtell.training.models import motion_channels

NAMES = ("classifier", "detector", "flow")


def profiles_of(name, size, channels=2):
    """Return the smallest, usual and largest shape of each input: B, T, H and W are dynamic."""
    if name == "detector":
        return {"clips": ((1, 2, size, size, 3), (1, 17, size, size, 3), (8, 17, size, size, 3))}
    if name == "flow":
        return dict.fromkeys(("image1", "image2"), ((1, 64, 64, 3), (1, 256, 256, 3), (2, 480, 854, 3)))
    quarter = size // 4
    return {"flow": tuple((count, quarter, quarter, channels) for count in (1, 16, 128))}


class _Messages(trt.ILogger):
    """Keeps the errors that TensorRT reports."""

    def __init__(self):
        super().__init__()
        self.errors = []

    def log(self, severity, message):
        if severity <= trt.ILogger.Severity.ERROR:
            self.errors.append(message)


@pytest.fixture(scope="module")
def default_graphs(tmp_path_factory):
    """Graph name to bytes of the default bundle, both networks exported from it, stored as it stores them."""
    bundle, folder = flowtell.Bundle.open(), tmp_path_factory.mktemp("networks")
    models = keras_from_bundle(bundle.path)
    export_flow(models, folder / "flow.onnx", "compact")
    export_classifier(models, folder / "classifier.onnx", "compact")
    networks = {name: (folder / f"{name}.onnx").read_bytes() for name in ("classifier", "flow")}
    return {"detector": bundle.read_graph("detector"), **networks}


@pytest.mark.parametrize("name", NAMES)
def test_builds_with_dynamic_shapes(name, tiny_graphs):
    build(tiny_graphs[name].SerializeToString(), profiles_of(name, CROP_SIZE), is_float=name == "classifier")


@pytest.mark.parametrize("name", NAMES)
def test_builds_the_default_bundle(name, default_graphs):
    manifest = flowtell.Bundle.open().manifest
    profiles = profiles_of(name, manifest.crop_size, motion_channels(manifest.flow_encoding))
    build(default_graphs[name], profiles, is_float=name == "classifier")


@pytest.mark.parametrize("precision", [name for name in DERIVED if computes_in("tensorrt", name)])
def test_builds_every_derived_precision(precision, tiny_bundle):
    stored = (tiny_bundle / "detector.onnx").read_bytes()
    clip = np.random.default_rng(0).integers(0, 256, (2, CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
    derived = derived_detector(stored, precision, [clip])
    build(derived.SerializeToString(), profiles_of("detector", CROP_SIZE), is_float=False)


def build(data, profiles, is_float):
    """Parse and build a graph; everything that TensorRT complains of fails the test."""
    messages = _Messages()
    builder = trt.Builder(messages)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, messages)
    parsed = parser.parse(data)
    assert parsed, [str(parser.get_error(index)) for index in range(parser.num_errors)]

    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM86, 0)
    profile = builder.create_optimization_profile()
    for input_name, shapes in profiles.items():
        profile.set_shape(input_name, *shapes)
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)

    assert plan is not None, messages.errors
    assert not messages.errors
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    wanted = trt.DataType.FLOAT if is_float else trt.DataType.UINT8
    assert [tensor.dtype for tensor in inputs] == [wanted] * len(inputs)
