"""TensorRT-RTX builds the graphs for a GPU of compute capability 8.6, on a machine without any."""

from __future__ import annotations

import importlib.util
import platform

import pytest

if importlib.util.find_spec("tensorrt_rtx_bindings") is None:
    pytest.skip(
        f"tensorrt_rtx_cu13_bindings is not installed (it has no wheels for {platform.machine()}?)",
        allow_module_level=True,
    )

import tensorrt_rtx_bindings as trt

import flowtell

S = 64
# (smallest, usual, largest) shape of each input: B, T, H and W are dynamic.
PROFILES = {
    "detector": {"clips": ((1, 2, S, S, 3), (1, 17, S, S, 3), (8, 17, S, S, 3))},
    "flow": dict.fromkeys(("image1", "image2"), ((1, 64, 64, 3), (1, 256, 256, 3), (2, 480, 854, 3))),
    "classifier": {"flow": ((1, S // 4, S // 4, 2), (16, S // 4, S // 4, 2), (128, S // 4, S // 4, 2))},
}


class _Messages(trt.ILogger):
    """Keeps the errors that TensorRT reports."""

    def __init__(self):
        super().__init__()
        self.errors = []

    def log(self, severity, message):
        # Without a driver it reports once that it cannot ask the GPU that is not there.
        if severity <= trt.ILogger.Severity.ERROR and "CUDA" not in message and "Cuda" not in message:
            self.errors.append(message)


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_builds_with_dynamic_shapes(name, tiny_graphs):
    build(tiny_graphs[name].SerializeToString(), PROFILES[name], is_float=name == "classifier")


def test_default_detector_builds():
    path = flowtell.default_bundle_path() / "detector.onnx"
    if not path.is_file():
        pytest.skip("the package has no default bundle")
    size = flowtell.Bundle.open().manifest.crop_size
    shapes = tuple((batch, frames, size, size, 3) for batch, frames in ((1, 2), (1, 17), (8, 17)))
    build(path.read_bytes(), {"clips": shapes}, is_float=False)


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
