"""The provider `tensorrt`: ONNX Runtime on an NVIDIA GPU through TensorRT, whose plans are kept.

A plan can carry code, so plans are read from one folder that only this user can write to. ONNX Runtime names
a plan by the graph's structure, precision and compute capability; the folder's name adds the bytes of the
graph and the version of the runtime. What does not match is built again.
"""

from __future__ import annotations

import hashlib

from ._cache import private_cache_folder, private_subfolder
from ._onnxruntime import OnnxRuntimeRunner, load_onnxruntime, why_not_built_with
from ._runner import GraphRunner, GraphSource

__all__ = ["NAME", "open_graph", "version", "why_not"]

NAME = "TensorrtExecutionProvider"


def why_not() -> str | None:
    """Return why it cannot be used here, or None where it may be: the GPU shows when a graph is loaded."""
    return why_not_built_with(
        NAME,
        "the provider 'tensorrt' needs onnxruntime-gpu, and onnxruntime {version} here is built without "
        "TensorRT: pip uninstall onnxruntime, then pip install 'flowtell[gpu]', and install TensorRT 10 from "
        "NVIDIA",
    )


def version() -> str:
    """Return what computes, with its version."""
    return f"onnxruntime-gpu {load_onnxruntime().__version__}, TensorRT"


def open_graph(source: GraphSource, threads: int) -> GraphRunner:
    """Load a graph; raises `ProviderError` as `OnnxRuntimeRunner`, also where there is no GPU or TensorRT."""
    key = f"{hashlib.sha256(source.data).hexdigest()}-{load_onnxruntime().__version__}"
    folder = private_subfolder(private_cache_folder(), "plans", "onnxruntime", key)
    return OnnxRuntimeRunner(
        source.data,
        source.file,
        NAME,
        trt_engine_cache_enable="1",
        trt_engine_cache_path=str(folder),
        trt_timing_cache_enable="1",
        trt_timing_cache_path=str(folder),
    )
