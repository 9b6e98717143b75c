"""How much arithmetic a graph asks for, counted from the shapes that ONNX Runtime saw when it ran it."""

import json
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

from flowtell._onnxruntime import load_onnxruntime

__all__ = ["Cost", "graph_cost"]

_FLOAT_BYTES = 4


@dataclass(frozen=True)
class Cost:
    """What one run of a graph costs.

    Attributes:
        gflop: multiplications and additions of its convolutions and matrix products, in 1e9; all else, warps
            and activations, is left out.
        gbyte: what these nodes read and write if nothing stays in a cache, float32, in 1e9 bytes.
    """

    gflop: float
    gbyte: float


def graph_cost(graph, inputs):
    """Run a graph once, unoptimised, on one thread, and return its `Cost`.

    Args:
        graph: bytes of an ONNX file.
        inputs: dict of input name to array.
    """
    onnxruntime = load_onnxruntime()

    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        session.run(None, inputs)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    flop = byte = 0
    for event in events:
        seen = event.get("args", {})
        if seen.get("op_name") in ("Conv", "MatMul", "Gemm") and event["name"].endswith("_kernel_time"):
            shapes = [_shape(entry) for entry in seen["input_type_shape"]]
            (out,) = (_shape(entry) for entry in seen["output_type_shape"])
            # each output is a sum of products: of a Conv over the kernel, else over the inner axis
            terms = math.prod(shapes[1][1:]) if seen["op_name"] == "Conv" else shapes[0][-1]
            flop += 2 * math.prod(out) * terms
            byte += _FLOAT_BYTES * (math.prod(out) + sum(math.prod(shape) for shape in shapes))
    return Cost(round(flop / 1e9, 3), round(byte / 1e9, 3))


def _shape(entry):
    (dims,) = entry.values()
    return dims
