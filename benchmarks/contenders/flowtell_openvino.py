"""The engine on OpenVINO: the same `detector.onnx`, the same way."""

from flowtell.benchmarks.contenders import engine_judge

NAME = "flowtell, OpenVINO"
SUMMARY = "the engine, detector.onnx on the openvino provider, float32"
SAME_OUTPUT = True


def open_contender(arena):
    """Return the judging function; see the package."""
    return engine_judge(arena, "openvino")
