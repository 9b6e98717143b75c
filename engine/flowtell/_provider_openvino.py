"""The provider `openvino`: Intel's runtime on the CPU, in float32, or in bfloat16 where the graph says so."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import queue
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._errors import ProviderError
from ._installed import is_installed
from ._runner import GraphRunner, GraphSource, RunningCall

__all__ = ["NAME", "open_graph", "shared_core", "version", "why_not", "why_not_bf16"]

NAME = "OpenVINO CPU"

_first_use = threading.Lock()

_TYPES = {"u8": "tensor(uint8)", "f32": "tensor(float)", "i64": "tensor(int64)"}


def why_not() -> str | None:
    """Return why it cannot be used here, or None where it may be; it is not loaded for that."""
    if not is_installed("openvino"):
        return "the provider 'openvino' needs the package openvino: pip install 'flowtell[openvino]'"
    return None


def version() -> str:
    """Return what computes, with its version."""
    try:
        return f"openvino {importlib.metadata.version('openvino')}"
    except importlib.metadata.PackageNotFoundError:
        # its archive on PYTHONPATH: no package that was installed
        return f"openvino {importlib.import_module('openvino').__version__}"


def why_not_bf16() -> str | None:
    """Return why it does not compute in bfloat16 here, or None where it does; it is loaded for that.

    Raises:
        ProviderError: where OpenVINO cannot be loaded.
    """
    if "BF16" in shared_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return None
    return "this CPU has no arithmetic in bfloat16 (neither AVX-512 BF16 nor AMX): take another precision"


def open_graph(source: GraphSource, threads: int) -> GraphRunner:
    """Load a graph for `threads` callers at a time.

    Raises:
        ProviderError: where OpenVINO is missing, refuses the graph, or would compute a bf16 one in float32.
    """
    if source.precision != "bf16":
        return _OpenVinoRunner(source.data, source.file, threads)
    reason = why_not_bf16()
    if reason is not None:
        raise ProviderError(f"the provider 'openvino' cannot compute in bf16: {reason}")
    runner = _OpenVinoRunner(source.data, source.file, threads)
    if not runner.computes_in("bf16"):
        raise ProviderError(f"{version()} computes '{source.file}' in float32, not in bf16")
    return runner


def shared_core() -> Any:
    """Return the one `openvino.Core` of this process.

    OpenVINO gives the thread that first uses a core a stack for signals, and unmaps it where the core ends:
    if that is on another thread, the next signal (Ctrl-C) crashes the process. So the core lives as long.

    Raises:
        ProviderError: where OpenVINO cannot be loaded.
    """
    with _first_use:
        return _made_core()


@functools.cache
def _made_core() -> Any:
    try:
        openvino = importlib.import_module("openvino")
    except ImportError as error:
        raise ProviderError(f"openvino cannot be loaded ({error}): reinstall it") from error
    # It makes its tables of types on first use, and lets go of the interpreter meanwhile: of two threads that
    # come first, one then waits for the table with the interpreter in hand, the other for the interpreter.
    tensor = openvino.Tensor(np.zeros(1, np.uint8))
    tensor.get_element_type().to_dtype()
    np.array(tensor.data)
    return openvino.Core()


class _OpenVinoRunner:
    """A `GraphRunner` with one stream of one thread for each caller, so that scores do not depend on them."""

    def __init__(self, data: bytes, file: str, threads: int) -> None:
        core = shared_core()
        settings = {
            # left to itself it computes float32 in bfloat16 where the CPU has it; what the graph states in
            # bfloat16 stays so
            "INFERENCE_PRECISION_HINT": "f32",
            "NUM_STREAMS": str(threads),
            "INFERENCE_NUM_THREADS": str(threads),
            "ENABLE_CPU_PINNING": "NO",
        }
        try:
            model = core.compile_model(core.read_model(data), "CPU", settings)
            requests = [model.create_infer_request() for _ in range(threads)]
        except RuntimeError as error:
            raise ProviderError(f"{version()} cannot load '{file}': {error}") from error
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for request in requests:
            self._idle.put(request)
        self._model = model
        self.inputs = _values(model.inputs)
        self.outputs = _values(model.outputs)

    def computes_in(self, precision: str) -> bool:
        """Tell whether some of its convolutions were compiled for `precision`, as OpenVINO names it."""
        return any(
            str(operation.rt_info["runtimePrecision"].astype(str)) == precision
            for operation in self._model.get_runtime_model().get_ops()
            if str(operation.rt_info["layerType"].astype(str)) == "Convolution"
        )

    def run(
        self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]], call: RunningCall | None
    ) -> list[NDArray[Any]]:
        """Return the named outputs; see `GraphRunner.run`."""
        request = self._idle.get()
        try:
            _infer(request, inputs, call)
            return [np.array(request.get_tensor(name).data) for name in outputs]
        finally:
            self._idle.put(request)


def _infer(request: Any, inputs: Mapping[str, NDArray[Any]], call: RunningCall | None) -> None:
    request.start_async(dict(inputs), share_inputs=True)
    if call is None:
        request.wait()
        return
    call.arm(request.cancel)
    try:
        request.wait()
    finally:
        # also of a call that was stopped: whoever stops it again must not stop the request's next one
        call.disarm()


def _values(ports: Sequence[Any]) -> dict[str, tuple[str, int]]:
    return {
        port.get_any_name(): (
            _TYPES.get(port.get_element_type().get_type_name(), port.get_element_type().get_type_name()),
            port.get_partial_shape().rank.get_length(),
        )
        for port in ports
    }
