"""The engine on OpenVINO, the bundle's bf16 detector: what it was made for, where the CPU computes in it."""

from flowtell.benchmarks.contenders import engine_judge

NAME = "flowtell, OpenVINO bf16"
SUMMARY = "the engine, a derived detector-bf16.onnx on the openvino provider, bfloat16"
SAME_OUTPUT = True
PRECISION = "bf16"


def open_contender(arena):
    """Return the judging function; see the package."""
    return engine_judge(arena, "openvino", PRECISION)
