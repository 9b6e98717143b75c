"""Runs the graphs of a bundle: one ONNX Runtime session a graph, one intra-op thread a session.

With one thread inside, a score does not depend on how many clips or threads it shared a call with; callers
run one session from many threads instead, which ONNX Runtime allows and which is as fast.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._bundle import Bundle
from ._errors import BundleError, ProviderError
from ._providers import Provider, load_onnxruntime

__all__ = ["GraphSession", "RunningCall", "open_session", "require_shape"]

_ORT_WARNING = 2


@dataclass(frozen=True)
class _Signature:
    """What a graph of the bundle format takes and gives: name -> (ONNX Runtime's type, rank)."""

    inputs: dict[str, tuple[str, int]]
    outputs: dict[str, tuple[str, int]]


_SIGNATURES = {
    "faces": _Signature(
        {"frame": ("tensor(uint8)", 3)}, {"boxes": ("tensor(float)", 2), "scores": ("tensor(float)", 1)}
    ),
    "crop": _Signature(
        {"frame": ("tensor(uint8)", 3), "box": ("tensor(int64)", 1)},
        {"crop": ("tensor(uint8)", 3), "signature": ("tensor(uint8)", 3)},
    ),
    "detector": _Signature(
        {"clips": ("tensor(uint8)", 5)},
        {
            "pair_logits": ("tensor(float)", 2),
            "clip_logit": ("tensor(float)", 1),
            "flow": ("tensor(float)", 5),
        },
    ),
}


class RunningCall:
    """A call to a graph that another thread may end before its time.

    Attributes:
        is_stopped: whether it was; what it then gives is an error.
    """

    def __init__(self) -> None:
        self.is_stopped = False
        self._stop: Callable[[], object] | None = None
        self._lock = threading.Lock()

    def arm(self, stop: Callable[[], object]) -> None:
        """Say what ends the call; done at once where it was stopped before it began."""
        with self._lock:
            self._stop = stop
            if self.is_stopped:
                stop()

    def stop(self) -> None:
        """End the call."""
        with self._lock:
            self.is_stopped = True
            if self._stop is not None:
                self._stop()


class GraphSession:
    """One graph, ready to run from any number of threads at once."""

    def __init__(self, session: Any, file: str) -> None:
        self._session = session
        self._file = file

    def run(
        self, outputs: Sequence[str], call: RunningCall | None = None, **inputs: NDArray[Any]
    ) -> list[NDArray[Any]]:
        """Return the named outputs for the named inputs; `call` lets another thread end it.

        Raises:
            ProviderError: where ONNX Runtime fails or was stopped, with its own words.
        """
        options = None
        if call is not None:
            options = load_onnxruntime().RunOptions()
            call.arm(lambda: setattr(options, "terminate", True))
        try:
            results: list[NDArray[Any]] = self._session.run(list(outputs), inputs, options)
        except Exception as error:
            # ONNX Runtime's exceptions share no base class but Exception
            raise ProviderError(f"onnxruntime failed while it ran '{self._file}': {error}") from error
        return results


def open_session(bundle: Bundle, graph: str, precision: str, provider: Provider) -> GraphSession:
    """Load one graph of `bundle` into ONNX Runtime and hold it to the bundle format's names, types and ranks.

    Raises:
        BundleError: where the file is not what the manifest or the format says.
        ProviderError: where ONNX Runtime is missing, refuses the graph, or takes another provider.
    """
    data = bundle.read_graph(graph, precision)
    file = bundle.manifest.graphs[graph][precision].file
    ort = load_onnxruntime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = _ORT_WARNING
    try:
        session = ort.InferenceSession(data, options, providers=[provider.ort_name])
    except Exception as error:
        # as in GraphSession.run
        raise ProviderError(f"onnxruntime {ort.__version__} cannot load '{file}': {error}") from error
    if session.get_providers() != [provider.ort_name]:
        taken = ", ".join(session.get_providers())
        raise ProviderError(f"onnxruntime runs '{file}' on {taken}, not on {provider.ort_name}")
    signature = _SIGNATURES[graph]
    _require_signature(file, "input", signature.inputs, session.get_inputs())
    _require_signature(file, "output", signature.outputs, session.get_outputs())
    return GraphSession(session, file)


def _require_signature(
    file: str, what: str, wanted: dict[str, tuple[str, int]], found: Sequence[Any]
) -> None:
    stated = {value.name: (value.type, len(value.shape)) for value in found}
    for name, (kind, rank) in wanted.items():
        if stated.get(name) != (kind, rank):
            raise BundleError(f"'{file}' must have the {what} '{name}', {kind} of rank {rank}")
    if what == "input" and len(stated) > len(wanted):
        raise BundleError(f"'{file}' wants inputs that the bundle format does not have")


def require_shape(array: NDArray[Any], shape: tuple[int, ...], file: str) -> NDArray[Any]:
    """Return `array` if it has `shape`.

    Raises:
        BundleError: where a graph gave something else.
    """
    if array.shape != shape:
        raise BundleError(f"{file} gave an array of shape {array.shape}, not {shape}")
    return np.ascontiguousarray(array)
