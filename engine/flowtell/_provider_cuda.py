"""The provider `cuda`: ONNX Runtime on an NVIDIA GPU."""

from __future__ import annotations

from ._errors import ProviderError
from ._onnxruntime import OnnxRuntimeRunner, load_onnxruntime
from ._runner import GraphRunner

__all__ = ["NAME", "open_graph", "version", "why_not"]

NAME = "CUDAExecutionProvider"


def why_not() -> str | None:
    """Return why it cannot be used here, or None where it may be: the GPU shows when a graph is loaded."""
    try:
        ort = load_onnxruntime()
    except ProviderError as error:
        return str(error)
    if NAME not in ort.get_available_providers():
        return (
            f"the provider 'cuda' needs onnxruntime-gpu, and onnxruntime {ort.__version__} here is built "
            "without CUDA: pip uninstall onnxruntime, then pip install 'flowtell[gpu]'"
        )
    return None


def version() -> str:
    """Return what computes, with its version."""
    return f"onnxruntime-gpu {load_onnxruntime().__version__}"


def open_graph(data: bytes, file: str, threads: int) -> GraphRunner:
    """Load a graph; raises `ProviderError` as `OnnxRuntimeRunner`, also where there is no GPU."""
    return OnnxRuntimeRunner(data, file, NAME, use_tf32="0")
