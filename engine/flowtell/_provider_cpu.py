"""The provider `cpu`: ONNX Runtime's own kernels. What the others are measured against."""

from __future__ import annotations

from ._errors import ProviderError
from ._onnxruntime import OnnxRuntimeRunner, load_onnxruntime
from ._runner import GraphRunner

__all__ = ["NAME", "open_graph", "version", "why_not"]

NAME = "CPUExecutionProvider"


def why_not() -> str | None:
    """Return why it cannot be used here, or None where it can."""
    try:
        available = load_onnxruntime().get_available_providers()
    except ProviderError as error:
        return str(error)
    if NAME not in available:
        return "this build of onnxruntime has no CPU provider: install onnxruntime from PyPI"
    return None


def version() -> str:
    """Return what computes, with its version."""
    return f"onnxruntime {load_onnxruntime().__version__}"


def open_graph(data: bytes, file: str, threads: int) -> GraphRunner:
    """Load a graph; raises `ProviderError` as `OnnxRuntimeRunner`. Its callers bring the threads."""
    return OnnxRuntimeRunner(data, file, NAME)
