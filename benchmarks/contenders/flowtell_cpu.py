"""The engine: the fused `detector.onnx`, one clip a call, as many calls at a time as there are threads."""

from flowtell.benchmarks.contenders import engine_judge

NAME = "flowtell"
SUMMARY = "the engine, detector.onnx on the cpu provider, float32"
SAME_OUTPUT = True


def open_contender(arena):
    """Return the judging function; see the package."""
    return engine_judge(arena, "cpu")
