"""What the machine itself did during a run: a fixed kernel timed between the rounds, and the physical limits.

A machine that is shared, hot or throttled changes its speed by itself. The kernel never changes: the spread
of its times is the machine's, and a run on a machine that was not steady can be told from one that was.
"""

import time
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from flowtell._usable_cores import usable_cores
from flowtell.benchmarks.runtimes import onnxruntime_session
from flowtell.benchmarks.statistics import quantile

__all__ = ["GEMM_SIZES", "Ceilings", "best_gemm", "calibrate", "gemm", "measure_ceilings"]

KERNEL_SIZE = 768
KERNEL_RUNS = 15
"""One run is 0.9 GFLOP: some 10 ms here, long beside a clock tick and short beside a round."""

GEMM_SIZES = (256, 512, 1024, 2048)
CEILING_RUNS = 9
"""The fastest counts: a ceiling is what nothing exceeds, and whatever else runs can only lower a run."""
COPY_BYTES = 1 << 28
"""256 MiB: eight times the largest cache seen here, so that the copy is one of memory."""


@dataclass(frozen=True)
class Ceilings:
    """What this machine can do at best, measured here and now with all of its threads.

    Attributes:
        gemm_gflops: float32 matrix product, the best over `GEMM_SIZES`, libraries and the kernel, 2 n^3
            operations each.
        gemm_size: the size that reached it.
        copy_gb_per_s: memory read and written a second by a copy of 256 MiB, both directions counted.
    """

    gemm_gflops: float
    gemm_size: int
    copy_gb_per_s: float


def gemm(size):
    """Return a function that multiplies two float32 matrices of `size` rows and columns, on every core."""
    a, b = _matrices(size)
    return lambda: a @ b


def _products():
    """Return what multiplies float32 matrices on every core: (library, size) to a function.

    NumPy's library and ONNX Runtime's, of `GEMM_SIZES`: a ceiling must not be that of a library that does not
    know the CPU. On two cores of a Zen 5 the one reaches 240 GFLOP/s and the other 443.
    """
    found = {}
    for size in GEMM_SIZES:
        found["numpy", size] = gemm(size)
        found["onnxruntime", size] = _onnxruntime_product(size)
    return found


def _onnxruntime_product(size):
    a, b = _matrices(size)
    square = [size, size]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["a", "b"], ["product"])],
        "product",
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, square)],
        [helper.make_tensor_value_info("product", TensorProto.FLOAT, square)],
        [numpy_helper.from_array(b, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    session = onnxruntime_session(model.SerializeToString(), usable_cores())
    return lambda: session.run(None, {"a": a})


def _matrices(size):
    return np.random.default_rng(0).normal(size=(2, size, size)).astype(np.float32)


def calibrate():
    """Return the median time of the fixed kernel, in milliseconds."""
    return quantile(_times_ms(gemm(KERNEL_SIZE), KERNEL_RUNS), 0.5)


def measure_ceilings(calibrations_ms=()):
    """Return the `Ceilings` of this machine; takes about a second.

    Args:
        calibrations_ms: times of the fixed kernel during the run. It is a matrix product, too: the fastest
            counts where it was faster than all that are timed now.
    """
    fixed = [(2e-6 * KERNEL_SIZE**3 / ms, KERNEL_SIZE) for ms in calibrations_ms]
    gflops, size = max([best_gemm(), *fixed])
    source = np.ones(COPY_BYTES, np.uint8)
    target = np.empty_like(source)
    copy_ms = min(_times_ms(lambda: np.copyto(target, source), CEILING_RUNS))
    return Ceilings(round(gflops, 1), size, round(2e-6 * COPY_BYTES / copy_ms, 1))


def best_gemm():
    """Return the rate in GFLOP/s of the fastest product over `GEMM_SIZES` and libraries, and its size."""
    return max(
        (2e-6 * size**3 / min(_times_ms(run, CEILING_RUNS)), size) for (_, size), run in _products().items()
    )


def _times_ms(run, runs):
    run()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start))
    return times
