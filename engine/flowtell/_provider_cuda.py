"""The provider `cuda`: ONNX Runtime on an NVIDIA GPU."""

from __future__ import annotations

from ._onnxruntime import OnnxRuntimeRunner, load_onnxruntime, why_not_built_with
from ._runner import GraphRunner, GraphSource

__all__ = ["NAME", "open_graph", "version", "why_not"]

NAME = "CUDAExecutionProvider"


def why_not() -> str | None:
    """Return why it cannot be used here, or None where it may be: the GPU shows when a graph is loaded."""
    return why_not_built_with(
        NAME,
        "the provider 'cuda' needs onnxruntime-gpu, and onnxruntime {version} here is built without CUDA: "
        "pip uninstall onnxruntime, then pip install 'flowtell[gpu]'",
    )


def version() -> str:
    """Return what computes, with its version."""
    return f"onnxruntime-gpu {load_onnxruntime().__version__}"


def open_graph(source: GraphSource, threads: int) -> GraphRunner:
    """Load a graph; raises `ProviderError` as `OnnxRuntimeRunner`, also where there is no GPU."""
    return OnnxRuntimeRunner(source.data, source.file, NAME, use_tf32="0")
