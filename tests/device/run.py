"""Runs flowtell on a CUDA GPU and records what came out: versions, parity with the CPU, times, arrays.

    python tests/device/run.py [BUNDLE] [--video VIDEO] [--out FILE]

For the default bundle and the bundled sample, it judges four face clips of four pairs by the CPU, by every
provider that uses the GPU (ONNX Runtime's CUDA and TensorRT, a plan of `flowtell plan`), and gives the plan
arrays of PyTorch, CuPy and PyCUDA as they lie on the GPU. What is not installed is recorded as absent, with
the reason. Prints one JSON object, or writes it to FILE. Exit code: 0 whatever ran agrees with the CPU,
1 something does not, 2 there is no GPU here.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.metadata
import json
import statistics
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from flowtell import Bundle, FlowtellError, iter_face_clips, samples
from flowtell._cuda import load_cuda
from flowtell._nvidia import NoGpuError, first_gpu
from flowtell._plan_cache import PlanCache
from flowtell._plan_key import profile_of
from flowtell._plan_runner import PlanRunner
from flowtell._provider_tensorrt_plan import plan_key
from flowtell._providers import _PROVIDERS, CPU, Provider
from flowtell._runner import GraphRunner, GraphSource
from flowtell._tensorrt import backend_called
from flowtell.benchmarks.machine import machine_context
from flowtell.export._cli_plan import main as plan_command

CLIPS, PAIRS, RUNS = 4, 4, 20
# float32 on the CPU's two runtimes differs by 2e-5; a GPU may sum in TF32, with 10 bits after the point.
MAX_LOGIT_DRIFT = 0.01
_OUTPUTS = ("pair_logits", "clip_logit")
_PACKAGES = ("onnxruntime-gpu", "cuda-bindings", "tensorrt", "tensorrt_rtx_cu13_bindings", "torch", "pycuda")


def main() -> int:
    """Run, record, return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", nargs="?", metavar="BUNDLE")
    parser.add_argument("--video", default=samples.natural_path())
    parser.add_argument("--out", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    try:
        gpu = first_gpu()
    except NoGpuError as error:
        print(f"there is no CUDA GPU here to run on, and nothing was recorded: {error}", file=sys.stderr)
        return 2
    bundle = Bundle.open(arguments.bundle)
    frames = [clip.frames[: PAIRS + 1] for clip in islice(iter_face_clips(arguments.video, bundle), CLIPS)]
    clips, source = np.stack(frames), source_of(bundle)
    cpu = judged(CPU.open_graph(source, 1), clips)
    with contextlib.redirect_stdout(sys.stderr):
        planned = plan_command(["plan", str(bundle.path), "--precision", "fp32"]) if can_plan() else None
    providers = [p for p in _PROVIDERS if p.name in ("cuda", "tensorrt")]
    report = {
        "gpu": vars(gpu),
        "machine": machine_context(),
        "packages": {name: version for name in _PACKAGES if (version := version_of(name))},
        "bundle": {"name": bundle.manifest.name, "sha256": bundle.sha256},
        "clips": list(clips.shape),
        "cpu_ms": cpu["median_ms"],
        "plan_exit_code": planned,
        "providers": {p.reported_name: of_provider(p, source, clips, cpu) for p in providers},
        "arrays": {name: of_arrays(make, source, clips, cpu) for name, make in ARRAYS.items()},
    }
    text = json.dumps(report, indent=2)
    if arguments.out is None:
        print(text)
    else:
        arguments.out.write_text(text + "\n", encoding="utf-8")
    ran = [*report["providers"].values(), *report["arrays"].values()]
    return 1 if any(each["state"] == "differs" for each in ran) else 0


def source_of(bundle: Bundle) -> GraphSource:
    """Return the detector in fp32."""
    profile = profile_of("detector", bundle.manifest) or {}
    return GraphSource(bundle.read_graph("detector"), "detector.onnx", "fp32", profile)


def can_plan() -> bool:
    """Tell whether a TensorRT is installed that builds plans."""
    try:
        backend_called(None)
    except FlowtellError:
        return False
    return True


def judged(runner: GraphRunner, clips: Any) -> dict[str, Any]:
    """Return the logits of clips, and how long a call takes when it has been made before."""
    logits, _ = runner.run(_OUTPUTS, {"clips": clips}, None)
    times_ms = []
    for _ in range(RUNS):
        begun_s = time.perf_counter()
        runner.run(_OUTPUTS, {"clips": clips}, None)
        times_ms.append(1000 * (time.perf_counter() - begun_s))
    return {"logits": logits, "median_ms": statistics.median(times_ms)}


def of_provider(
    provider: Provider, source: GraphSource, clips: np.ndarray, cpu: dict[str, Any]
) -> dict[str, Any]:
    """Judge by a provider and compare with the CPU."""
    reason = provider.why_not()
    if reason is not None:
        return {"state": "absent", "reason": reason}
    begun_s = time.monotonic()
    try:
        runner = provider.open_graph(source, 1)
        opened_s = time.monotonic() - begun_s
        seen = judged(runner, clips)
    except FlowtellError as error:
        return {"state": "failed", "reason": str(error)}
    return {**compared(seen, cpu), "version": provider.version(), "opened_s": opened_s}


def compared(seen: dict[str, Any], cpu: dict[str, Any]) -> dict[str, Any]:
    """Return how far logits lie from the CPU's, and whether that is near enough."""
    drift = float(np.abs(seen["logits"] - cpu["logits"]).max())
    state = "agrees" if drift <= MAX_LOGIT_DRIFT else "differs"
    return {"state": state, "max_logit_drift": drift, "median_ms": seen["median_ms"]}


def of_arrays(
    make: Callable[[np.ndarray], Any], source: GraphSource, clips: np.ndarray, cpu: dict[str, Any]
) -> dict[str, Any]:
    """Give the plan an array that lies on the GPU; see that TensorRT reads it there."""
    try:
        array = make(clips)
        backend = backend_called(None)
        plan = PlanCache.open().read(plan_key(source, backend))
        runner = PlanRunner(plan, source.file, backend.load(), load_cuda(), threads=1)
        seen = judged(runner, array)
    except (FlowtellError, ImportError) as error:
        return {"state": "absent", "reason": str(error)}
    read_from = runner._idle.get().context.get_tensor_address("clips")
    in_place = read_from == array.__cuda_array_interface__["data"][0]
    return {**compared(seen, cpu), "without_a_copy": in_place}


def _torch(clips: np.ndarray) -> Any:
    torch = importlib.import_module("torch")
    array = torch.from_numpy(clips).cuda()
    torch.cuda.synchronize()
    return array


def _cupy(clips: np.ndarray) -> Any:
    cupy = importlib.import_module("cupy")
    array = cupy.asarray(clips)
    cupy.cuda.Device().synchronize()
    return array


def _pycuda(clips: np.ndarray) -> Any:
    importlib.import_module("pycuda.autoprimaryctx")  # the context that CUDA's runtime interface uses, too
    return importlib.import_module("pycuda.gpuarray").to_gpu(clips)


ARRAYS = {"PyTorch": _torch, "CuPy": _cupy, "PyCUDA": _pycuda}


def version_of(distribution: str) -> str | None:
    """Return the version of a distribution, or None where it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    sys.exit(main())
