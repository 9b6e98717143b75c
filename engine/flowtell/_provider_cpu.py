"""The provider `cpu`: ONNX Runtime's own kernels. What the others are measured against."""

from __future__ import annotations

from ._onnxruntime import CPU_PROVIDER, OnnxRuntimeRunner, load_onnxruntime, why_not_built_with
from ._runner import GraphRunner, GraphSource

__all__ = ["NAME", "open_graph", "version", "why_not"]

NAME = CPU_PROVIDER


def why_not() -> str | None:
    """Return why it cannot be used here, or None where it can."""
    return why_not_built_with(
        NAME,
        "this build of onnxruntime has no CPU provider: install onnxruntime from PyPI",
    )


def version() -> str:
    """Return what computes, with its version."""
    return f"onnxruntime {load_onnxruntime().__version__}"


def open_graph(source: GraphSource, threads: int) -> GraphRunner:
    """Load a graph; raises `ProviderError` as `OnnxRuntimeRunner`. Its callers bring the threads."""
    return OnnxRuntimeRunner(source.data, source.file, NAME)
